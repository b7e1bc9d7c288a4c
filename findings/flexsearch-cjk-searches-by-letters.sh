#!/usr/bin/env bash
# flexsearch 0.8.212.
#
# FlexSearch is the search by words of many documentation sites and of RAG in the browser. For Chinese, Japanese and Korean it has an
# encoder, `Charset.CJK`, which frameworks take for such sites, as the default finds no Chinese word within a sentence (not even "单词" in
# "一个单词", the example of its documentation; with `tokenize: 'full'` it does). Of `Charset.CJK` the documentation has no more than the name.
# One should think that it makes words, or characters, of what has no spaces, and leaves words and numbers as they are; and that, as with
# the other encoders, a space or a question mark stands between words and is none.
#
# Seen: it takes each character of any text for a word, Latin letters and digits too, and a search asks for all of them, in any order.
# - "E4711" finds E1147 as well, and puts it first; "8080" finds "2008年的80个端口" before the passages about port 8080; "Docker" finds
#   "rocked", and "删除" (delete) first a passage in which the two characters stand apart, the other way round.
# - A space or a mark is a word that must be there: "端口 8080" and "删除 密钥", as one writes them, and "如何删除密钥？" with its mark find nothing
#   of what has the words without it. `suggest: true` brings them, and nearly all others with them.
# `context: true`, which is off by default, heeds what stands beside what, and mends most of the first but nothing of the second;
# `tokenize: 'forward'` changes nothing. An `encode` of one's own, which keeps words and numbers and makes pairs of characters, is right: the
# script shows it.
#
# For a RAG user with Chinese documents the half by words is there for codes, names and numbers, and takes one for the other; and the more a
# question looks like one, the less it finds. Upstream: flexsearch 207 (2021) asked how to search two languages, and was told to write an
# encoder, before this one was there; Ghost says that it is not suitable, as it splits all characters (Ghost 22874, April 2025); of orders,
# spaces and marks no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with node 20 or later and npm; some 5 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund flexsearch@0.8.212
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import { Charset, Index } from 'flexsearch'

const PASSAGES = [
  '端口为8080', '端口 8080', '2008年的80个端口', 'rocked 的意思', 'Docker的部署', '除草后删掉', '如何删除密钥', '错误代码E4711', '错误代码E1147',
]
const QUESTIONS = ['E4711', '8080', 'Docker', '删除', '端口 8080', '删除 密钥', '如何删除密钥', '如何删除密钥？']

// words and numbers as they are; of Chinese each pair of characters, and a character that stands alone
function encode(text) {
  const found = []
  for (const [part] of text.toLowerCase().matchAll(/\p{Script=Han}+|[\p{L}\p{N}]+?(?=\p{Script=Han}|[^\p{L}\p{N}]|$)/gu)) {
    if (!/\p{Script=Han}/u.test(part) || part.length === 1) found.push(part)
    else for (let i = 0; i + 1 < part.length; i += 1) found.push(part.slice(i, i + 2))
  }
  return found
}

function build(options) {
  const index = new Index(options)
  for (const [id, passage] of PASSAGES.entries()) index.add(id, passage)
  return (question, settings) => index.search(question, settings).map((id) => PASSAGES[id])
}

const cjk = build({ encoder: Charset.CJK })
const ways = {
  default: build({}), cjk, 'cjk, context': build({ encoder: Charset.CJK, context: true }),
  'cjk, forward': build({ encoder: Charset.CJK, tokenize: 'forward' }), 'own encode': build({ encode }),
}
const seen = {}
for (const [way, ask] of Object.entries(ways)) {
  seen[way] = QUESTIONS.map((question) => ask(question))
  for (const [i, question] of QUESTIONS.entries()) console.log(way.padEnd(13), question.padEnd(10), JSON.stringify(seen[way][i]))
}
const suggested = cjk('删除 密钥', { suggest: true })
console.log('cjk, suggest ', '删除 密钥 ', JSON.stringify(suggested))
const ports = ['端口为8080', '端口 8080']
assert.deepEqual(seen.cjk, [
  ['错误代码E1147', '错误代码E4711'], ['2008年的80个端口', ...ports], ['rocked 的意思', 'Docker的部署'], ['除草后删掉', '如何删除密钥'],
  ['端口 8080'], [], ['如何删除密钥'], [],
], 'it has changed')
const sets = (answers) => answers.map((answer) => [...answer].sort())
assert.deepEqual(seen['cjk, forward'], seen.cjk, 'forward: it has changed')
assert.deepEqual(seen['cjk, context'], [
  ['错误代码E4711'], [...ports, '2008年的80个端口'], ['Docker的部署'], ['如何删除密钥'], ['端口 8080'], [], ['如何删除密钥'], [],
], 'context: it has changed')
const example = new Index()
example.add(0, '一个单词')
const word = example.search('单词')
const full = new Index({ tokenize: 'full' })
full.add(0, '一个单词')
console.log('default, the example of the documentation', JSON.stringify(word))
assert.deepEqual([seen.default[QUESTIONS.indexOf('删除')], word, full.search('单词')], [[], [], [0]], 'the default has changed')
assert(suggested.length > 3 && suggested[0] === '如何删除密钥', 'suggestions have changed')
assert.deepEqual(seen['own encode'].map((answer) => [...answer].sort()), sets([
  ['错误代码E4711'], ports, ['Docker的部署'], ['如何删除密钥'], ports, ['如何删除密钥'], ['如何删除密钥'], ['如何删除密钥'],
]), 'an encode of one\'s own has changed')
console.log('as described')
JS
node ask.mjs
