#!/usr/bin/env bash
# @mastra/rag 2.6.4.
#
# Questions with their answers, products, tickets: much of what a knowledge base is made of comes as JSON. `MDocument.fromJSON(…).chunk({
# strategy: 'json' })` cuts it into pieces that are JSON themselves, with the keys above them. There is a largest and a smallest size, and the
# text should be in some piece whatever the sizes are, as it was.
#
# Seen, with nothing raised or logged:
# - The end of a list that has no place in one piece is left out, where it is shorter than the smallest size, which is 200 characters less than
#   the largest, if not told. Of 60 questions with their answers, in pieces of 2,000, the last six are in none; in two lists of thirty, 24 are.
#   `minSize: 1` keeps them all. (A list that is the document itself is kept, a piece for each entry.)
# - A long text is cut so that 20 characters are left for its key and its marks. A piece that is longer as JSON is left out, and each line
#   break and each quote is one character longer there: of 200 lines of dialogue none comes. With a key of 18 letters most of a text on one
#   line is lost, too.
# - Chinese comes as escapes, by default (`ensureAscii`), and these are escaped once more: who reads the piece as JSON has a backslash, a "u"
#   and four digits in the place of each character, and a piece is up to seven times as long as was asked for. `ensureAscii: false` keeps the
#   characters.
#
# For a RAG user the last answers of each list cannot be found, the newest ones where new entries are added at the end; in Chinese a knowledge
# base is seven times as long and answers to nothing. No issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with npm and node 22.13 or later (20 does, with a warning); some 180 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @mastra/rag@2.6.4
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import { MDocument } from '@mastra/rag'

const entry = (i) => ({ id: i, question: `Question ${i} about the keys?`, answer: `Answer ${i}: they are rotated every ninety days.` })
const faq = Array.from({ length: 60 }, (_, i) => entry(i))
const lines = Array.from({ length: 200 }, (_, i) => `Line ${i}: "rotate".`)
const line = lines.map((text) => text.replaceAll('"', '')).join(' ')

async function chunk(data, maxSize, settings = {}) {
  return (await MDocument.fromJSON(JSON.stringify(data)).chunk({ strategy: 'json', maxSize, ...settings })).map(({ text }) => text)
}

/** Which of so many entries are in no piece. */
function missing(pieces, count, mark) {
  return Array.from({ length: count }, (_, i) => i).filter((i) => !pieces.some((text) => text.includes(mark(i))))
}
const answers = async (data, settings) => missing(await chunk(data, 2000, settings), 60, (i) => `Answer ${i}:`)
const spoken = async (data, settings) => 200 - missing(await chunk(data, 1000, settings), 200, (i) => `Line ${i}:`).length
const lists = {
  'a list': await answers({ faq }), 'a list, deeper': await answers({ site: { faq } }),
  'two lists': await answers({ old: faq.slice(0, 30), faq: faq.slice(30) }),
  'minSize: 1': await answers({ faq }, { minSize: 1 }), 'the list itself': await answers(faq),
}
const texts = {
  'a text of 200 lines': await spoken({ body: lines.join('\n') }),
  'the same, minSize: 1': await spoken({ body: lines.join('\n') }, { minSize: 1 }),
  'on one line': await spoken({ body: line }), 'a longer key': await spoken({ documentation_text: line }),
}
const chinese = { text: '密钥每九十天轮换一次'.repeat(90) }
const escaped = await chunk(chinese, 1000)
const plain = await chunk(chinese, 1000, { ensureAscii: false })
for (const [name, lost] of Object.entries(lists)) console.log(`${name.padEnd(22)} answers in no piece: ${lost.join(' ') || 'none'}`)
for (const [name, kept] of Object.entries(texts)) console.log(`${name.padEnd(22)} lines that are in a piece: ${kept} of 200`)
const start = ([piece]) => `${JSON.parse(piece).text.slice(0, 12)}…, in a piece of ${piece.length} characters`
console.log(`Chinese: ${start(escaped)}; with ensureAscii: false ${start(plain)}`)

const end = [54, 55, 56, 57, 58, 59]
assert.deepEqual(lists['a list'], end, 'it has changed')
assert.deepEqual(lists['a list, deeper'], end, 'it has changed')
assert.deepEqual([lists['two lists'].length, lists['two lists'].at(11), lists['two lists'].at(-1)], [24, 29, 59], 'it has changed')
assert.deepEqual([lists['minSize: 1'], lists['the list itself']], [[], []], 'what is kept has changed')
assert.deepEqual(Object.values(texts), [0, 0, 200, 31], 'long texts have changed')
assert.equal(JSON.parse(escaped[0]).text.slice(0, 12), '\\u5bc6\\u94a5', 'Chinese has changed')
assert.ok(escaped[0].length > 6000 && plain.every((text) => text.length <= 1000), 'Chinese has changed')
assert.equal(plain.map((text) => JSON.parse(text).text).join(''), chinese.text, 'the remedy has changed')
console.log('as described')
JS
node ask.mjs
