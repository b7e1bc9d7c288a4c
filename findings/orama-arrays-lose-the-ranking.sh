#!/usr/bin/env bash
# @orama/orama 3.1.18.
#
# Orama searches by words (BM25), by vectors and by both, in the process or the browser. A field may be a list (`string[]`): tags, headings,
# names that a thing goes by. One should think that a word counts alike wherever it stands in a list, and that a document which is written
# again, unchanged, leaves the answers of all others as they were.
#
# Seen, in silence:
# - `update` or `remove` of any one document whose list has two entries or more makes the average length of the field no number. From then
#   on each score that has to do with the field is NaN, and a hybrid search that finds one such word has NaN for every hit, those of the
#   vectors among them: they come in the order in which they were inserted. What is inserted later does not mend it, and neither do `save` and
#   `load`, after which the words of the list count nothing.
# - Of a list only the words of the last entry have their weight: of two documents with the same two tags, asked for one of them, the one that
#   names it last has three times the score of the one that names it first.
# A string of the same words, joined by spaces, has neither; the script shows it.
#
# For a RAG user an index that is kept up to date answers by age of its documents from the first change on. Upstream: orama 766, mended in
# 2024, had NaN after the last document was gone; of lists no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with node 20 or later and npm; some 10 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @orama/orama@3.1.18
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import { create, insert, load, save, search, update } from '@orama/orama'

const PASSAGES = [
  { id: 'canteen', text: 'the canteen is closed on fridays', tags: ['house', 'food'], vector: [0.3, 0.954] },
  { id: 'keyring', text: 'a ring for keys is at the door', tags: ['house', 'keys'], vector: [0.5, 0.866] },
  { id: 'audit', text: 'who rotated which keys is kept for a year', tags: ['keys', 'audit'], vector: [0.8, 0.6] },
  { id: 'rotation', text: 'signing keys are rotated every ninety days', tags: ['audit', 'keys'], vector: [1, 0] },
]
const BY_AGE = PASSAGES.map(({ id }) => id).filter((id) => id !== 'canteen')
const question = { mode: 'hybrid', term: 'keys rotated', vector: { value: [1, 0], property: 'vector' }, similarity: 0.4 }
const schema = (tags) => ({ id: 'string', text: 'string', tags, vector: 'vector[2]' })
// A copy each time: a search takes the vectors out of the objects that were inserted.
const passages = (shape) => PASSAGES.map(({ tags, ...passage }) => structuredClone({ ...passage, tags: shape(tags) }))

async function index(type, shape) {
  const db = create({ schema: schema(type) })
  for (const passage of passages(shape)) await insert(db, passage)
  return db
}

async function ask(db, params) {
  const { hits } = await search(db, params)
  return hits.map(({ id, score }) => [id, Number.isNaN(score) ? 'NaN' : Number(score.toFixed(2))])
}

async function through(type, shape) {
  const db = await index(type, shape)
  const tagged = await ask(db, { term: 'audit', properties: ['tags'] })
  const fresh = await ask(db, question)
  await update(db, 'canteen', passages(shape)[0])
  const updated = await ask(db, question)
  await insert(db, { ...passages(shape)[0], id: 'another' })
  const later = await ask(db, question)
  const again = create({ schema: schema(type) })
  load(again, JSON.parse(JSON.stringify(save(db))))
  const loaded = await ask(again, { term: 'keys', properties: ['tags'] })
  const seen = { tagged, fresh, updated, later, loaded }
  console.log(type)
  for (const [when, hits] of Object.entries(seen)) console.log(`  ${when.padEnd(8)} ${JSON.stringify(hits)}`)
  return seen
}

const list = await through('string[]', (tags) => tags)
const joined = await through('string', (tags) => tags.join(' '))
const ids = (hits) => hits.map(([id]) => id)
const without = (value, names) => names.map((id) => [id, value])
assert.deepEqual(ids(list.fresh), ['rotation', 'audit', 'keyring'], 'the ranking has changed')
for (const hits of [list.updated, list.later]) assert.deepEqual(hits, without('NaN', BY_AGE), 'an update has changed')
assert.deepEqual(list.loaded, without(0, BY_AGE), 'what is loaded has changed')
assert.deepEqual(list.tagged, [['audit', 0.85], ['rotation', 0.29]], 'the weights in a list have changed')
for (const hits of [joined.fresh, joined.updated, joined.later]) assert.deepEqual(ids(hits), ids(list.fresh), 'strings have changed')
assert.ok(joined.tagged[0][1] === joined.tagged[1][1] && joined.loaded.every(([, score]) => score > 0), 'strings have changed')
console.log('as described')
JS
node ask.mjs
