//! The memory allocator of the programs; what uses the library has its own.

/// Of what a run frees, glibc's `malloc` kept 70 MB more, in pieces (measured with the engine that the embedded store had before).
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is free goes back to the operating system within a tenth of a second, and few arenas keep pieces of it. At once cost a quarter
/// of a crawl's CPU time, as the next page wants it again; the tenth costs 6 MB. The allocator reads this by its name;
/// `_RJEM_MALLOC_CONF` in the environment overrides it.
#[cfg(not(target_env = "msvc"))]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[allow(unsafe_code, reason = "nothing else has this name: it is the allocator's own prefix")]
pub static OPTIONS: &[u8; 46] = b"dirty_decay_ms:100,muzzy_decay_ms:0,narenas:2\0";
