#!/usr/bin/env bash
# minisearch 7.2.0.
#
# MiniSearch is the half by words of many a search in the process or the browser. `replace` and `discard` keep its index up to date: what
# was replaced is no longer found, and its entries are cleared away later (`autoVacuum`: when there are twenty and a tenth of the index). One
# should think that a question has the answer of an index that never had them, and that the same question asked again has the same answer.
#
# Seen: a search clears away what it comes by, and counts down how many passages have the word as it goes. A passage that is older than the
# replaced ones is scored while they still count; a younger one, in the same search, when they do not. Here one of 16 passages stays and 15
# are replaced by others that do not have its words, but for one. The first question after that gives the passage that is about it a score
# below zero and puts it last; the same question, asked again, puts it first, as does an index that is built anew. So it is with each word
# until somebody has asked for it. `await vacuum()` after an update mends it.
#
# For a RAG user what never changed ranks last just after an update, the first asker has another answer than the second, a limit on the score
# takes the right passage away, and a test that asks twice finds nothing. Upstream: minisearch 183 (2022), which brought `discard`, says that
# its visible effect is that of `remove`; of the scores no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with node 20 or later and npm; some 5 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund minisearch@7.2.0
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import MiniSearch from 'minisearch'

const ABOUT = { id: 'vault', text: 'the keys and doors of the vault' }
const before = Array.from({ length: 15 }, (_, i) => ({ id: `page ${i}`, text: `page ${i} about keys and doors` }))
const [ring, ...canteen] = before.map(({ id }) => ({ id, text: `${id} about the canteen and its hours` }))
ring.text = 'a ring for keys hangs beside one of the doors to the canteen'
const after = [ring, ...canteen]

function build(passages) {
  const index = new MiniSearch({ fields: ['text'] })
  index.addAll(passages)
  return index
}

function updated() {
  const index = build([ABOUT, ...before])
  for (const passage of after) index.replace(passage)
  return index
}

const ask = (index, words) => index.search(words).map(({ id, score }) => [id, Number(score.toFixed(2))])
const index = updated()
const swept = updated()
await swept.vacuum()
const seen = {
  'built anew': ask(build([ABOUT, ...after]), 'keys'),
  'after the update': ask(index, 'keys'),
  'asked again': ask(index, 'keys'),
  'another word': ask(index, 'doors'),
  'that word again': ask(index, 'doors'),
  'after vacuum()': ask(swept, 'keys'),
}
for (const [when, hits] of Object.entries(seen)) console.log(when.padEnd(17), JSON.stringify(hits))
const right = seen['built anew']
assert.deepEqual(right.map(([id]) => id), ['vault', ring.id], 'the ranking has changed')
for (const when of ['asked again', 'that word again', 'after vacuum()']) assert.deepEqual(seen[when], right, `${when}: it has changed`)
for (const when of ['after the update', 'another word']) {
  const [first, last] = seen[when]
  assert.ok(first[0] === ring.id && first[1] > 0 && last[0] === 'vault' && last[1] < 0, `${when}: it has changed`)
}
console.log('as described')
JS
node ask.mjs
