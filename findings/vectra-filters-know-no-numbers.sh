#!/usr/bin/env bash
# vectra 0.15.0.
#
# Vectra is a vector database in a folder, for Node: the passages of documents with metadata, filters in the manner of MongoDB (`$in` and
# `$nin` take strings and numbers, say its types), chunks of so many tokens, and on request a search by words (BM25) beside the one by vectors.
# A filter should let through what it names, a page in Chinese be cut as one in English is, and what is found by both come first.
#
# Seen, with nothing raised or logged:
# - `$in` and `$nin` look for the value within strings. `{ year: { $in: [2024, 2025] } }` finds nothing, and `$nin` with numbers lets
#   everything through, what it names as well; `$in: ['2024']` finds the number 2024. Of strings `$nin: ['draft-final']` leaves out "draft" and
#   "final", too, as they are parts of it. `$or` of plain values is right: the script shows it.
# - A piece without a Latin letter or a digit is taken for punctuation, which is never put together with its neighbours: of a Chinese page each
#   line is a chunk, 60 of them of at most 12 tokens, where the same page in English has four. So many are embedded and asked for.
# - A search by words is made over the chunks that the vectors did not bring, and their BM25 scores, which have no upper bound, stand in one
#   list with cosines. What only the words find comes before what both find: a document about something else is the first, and the third as
#   soon as one chunk more is asked for.
#
# For a RAG user a filter by years is empty or no filter, in silence either way; Chinese costs fifteen times the vectors and is found in pieces
# without their context; and the better a passage is found by meaning the less its words count. No issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with npm and node 22 or later (20 does, with a warning); some 125 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund vectra@0.15.0
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import vectra from 'vectra'

const { LocalIndex, LocalDocumentIndex } = vectra
const PASSAGES = {
  a: { year: 2020, status: 'draft' }, b: { year: 2024, status: 'final' },
  c: { year: 2025, status: 'draft-final' }, d: { year: 2026, status: 'withdrawn' },
}
const FILTERS = [
  { year: { $in: [2024, 2025] } }, { year: { $in: ['2024'] } }, { $or: [{ year: 2024 }, { year: 2025 }] }, { year: { $nin: [2024, 2025] } },
  { status: { $in: ['draft', 'final'] } }, { status: { $nin: ['draft-final'] } }, { status: { $ne: 'draft-final' } },
]
const index = new LocalIndex('filters')
await index.createIndex()
for (const [id, metadata] of Object.entries(PASSAGES)) await index.insertItem({ id, vector: [1, 0], metadata })
const found = []
for (const filter of FILTERS) {
  const hits = await index.queryItems([1, 0], '', 9, filter)
  found.push(hits.map(({ item }) => item.id).sort().join(''))
  console.log(JSON.stringify(filter).padEnd(42), found.at(-1) || 'nothing')
}

let embedded = 0
const meaning = (text) => (text.includes('signing key') ? [1, 0] : text.includes('quota') ? [0.2, 1] : [0.1, 1])
const embeddings = {
  maxTokens: 8000,
  async createEmbeddings(input) {
    const texts = [input].flat()
    embedded += texts.length
    return { status: 'success', output: texts.map(meaning) }
  },
}
const pages = new LocalDocumentIndex({ folderPath: 'pages', embeddings })
await pages.createIndex({ version: 1 })
const chunks = {}
for (const [language, page] of Object.entries({
  Chinese: '签名密钥每九十天轮换一次。\n备份完成之前，不得删除密钥。\n端口用于接口。\n',
  English: 'Keys are rotated every ninety days.\nDo not delete a key before the backup.\nThe port is for the API.\n',
})) {
  embedded = 0
  await pages.upsertDocument(`${language}.txt`, page.repeat(20), 'txt')
  chunks[language] = embedded
}
console.log('chunks of one page:', chunks)

const hybrid = new LocalDocumentIndex({ folderPath: 'hybrid', embeddings })
await hybrid.createIndex({ version: 1 })
const DOCUMENTS = {
  keys: 'How a signing key is made and who may use it.', error: 'Error E4711 says that the quota is used up.',
  quota: 'The quota is raised each month by the team.', parser: 'The parser names what it cannot read.',
  invoices: 'Invoices are sent each month to the office.', lunch: 'Lunch is at noon in the yard.',
}
for (const [uri, text] of Object.entries(DOCUMENTS)) await hybrid.upsertDocument(uri, text, 'txt')
const answers = {}
for (const [name, settings] of Object.entries({
  'by vectors': { maxChunks: 2 }, 'by both': { maxChunks: 2, isBm25: true }, 'one chunk more': { maxChunks: 3, isBm25: true },
})) {
  const documents = await hybrid.queryDocuments('signing key quota', settings)
  answers[name] = documents.map(({ uri, score }) => `${uri} ${score.toFixed(2)}`)
  console.log(name.padEnd(15), answers[name].join(', '))
}
assert.deepEqual([found[2], found[4], found[6]], ['bc', 'ab', 'abd'], 'what is right has changed')
assert.deepEqual([found[0], found[1], found[3]], ['', 'b', 'abcd'], 'it has changed')
assert.equal(found[5], 'd', 'parts of strings have changed')
assert.deepEqual(chunks, { Chinese: 60, English: 4 }, 'chunks have changed')
const uris = (name) => answers[name].map((answer) => answer.split(' ')[0])
assert.deepEqual([uris('by vectors'), uris('one chunk more')], [['keys', 'error'], ['keys', 'error', 'quota']], 'search by vectors has changed')
assert.deepEqual(uris('by both'), ['quota', 'keys', 'error'], 'search by both has changed')
console.log('as described')
JS
node ask.mjs
