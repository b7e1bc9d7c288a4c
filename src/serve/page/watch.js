// Looking again and again, for as long as somebody sees the page: a browser has six connections to a host for all its tabs together.

// Looks now and then: the next time `every()` milliseconds after the last look has ended. A tab that is hidden asks for nothing; one that is
// seen again looks at once.
export async function repeat(look, { every, signal }) {
  for (;;) {
    await seen(signal);
    if (signal.aborted) return;
    await look();
    await new Promise((wait) => setTimeout(wait, every()));
  }
}

// Resolves when somebody sees the page, or `signal` says that it does not matter any more.
function seen(signal) {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}
