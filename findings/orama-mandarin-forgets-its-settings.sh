#!/usr/bin/env bash
# @orama/tokenizers 3.1.18 (`mandarin`) with @orama/orama 3.1.18.
#
# Orama's own tokenizer splits between Latin letters, so that Chinese needs the one of @orama/tokenizers, which takes the same settings and
# cuts by `Intl.Segmenter`. Chinese manuals are full of Latin names: Docker, GPU, API. One should think that these are found as they are
# by default, however they are written, and that the settings that `createTokenizer` takes are heeded.
#
# Seen: with `mandarin` a name is found only in the letters that the passage has. "docker" finds nothing where "Docker" stands, and "gpu"
# nothing where "GPU" does; the default tokenizer finds each. Stop words are not taken out, `allowDuplicates` and `tokenizeSkipProperties`
# change nothing, `stemmer` is not called, and no error tells it: the function is bound to itself in place of its settings. So "docker 的"
# finds the passage that has "的", which is a stop word, and not the one about Docker.
#
# For a RAG user the half of a hybrid search that is there for names gives them up as soon as Chinese is found at all, and gives its full
# share of the score to passages with a particle. The remedy is a tokenizer around this one, which the script shows. No issue was found as of
# November 2026.
#
# Fails if that changes. Linux or macOS with node 20 or later and npm; some 10 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @orama/orama@3.1.18 @orama/tokenizers@3.1.18
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import { create, insert, search } from '@orama/orama'
import { createTokenizer } from '@orama/tokenizers/mandarin'

const PASSAGES = { docker: '用 Docker 部署，开放 8080。', gpu: 'GPU 显存不足，任务排队。', quiet: '夜里的任务' }
const STOP_WORDS = ['的', '了', '是']
const QUESTIONS = ['Docker', 'docker', 'gpu', 'GPU', '8080', '任务', '的', 'docker 的']
let stemmed = 0
const settings = {
  language: 'mandarin', stopWords: STOP_WORDS, allowDuplicates: true, tokenizeSkipProperties: ['code'], stemming: true,
  stemmer: (word) => { stemmed += 1; return word },
}
const mandarin = createTokenizer(settings)
const around = {
  ...mandarin,
  tokenize: (text, ...more) => mandarin.tokenize(text.toLowerCase(), ...more).filter((word) => !STOP_WORDS.includes(word)),
}

async function ask(tokenizer) {
  const db = create({ schema: { id: 'string', text: 'string' }, components: { tokenizer } })
  for (const [id, text] of Object.entries(PASSAGES)) await insert(db, { id, text })
  const found = {}
  for (const term of QUESTIONS) {
    const { hits } = await search(db, { term, properties: ['text'] })
    found[term] = hits.map(({ id }) => id).sort()
  }
  return found
}

const seen = { default: await ask(undefined), mandarin: await ask(mandarin), around: await ask(around) }
const tokens = [mandarin.tokenize('Docker Docker'), mandarin.tokenize('AB 12', 'mandarin', 'code')]
for (const [name, found] of Object.entries(seen)) console.log(name.padEnd(9), JSON.stringify(found))
console.log('tokens of "Docker Docker" and of "AB 12", which is to be skipped:', JSON.stringify(tokens), 'words stemmed:', stemmed)
const names = { Docker: ['docker'], docker: ['docker'], gpu: ['gpu'], GPU: ['gpu'], 8080: ['docker'] }
assert.deepEqual(seen.default, { ...names, 任务: [], 的: [], 'docker 的': ['docker'] }, 'the default has changed')
const chinese = { 任务: ['gpu', 'quiet'] }
assert.deepEqual(seen.mandarin, { ...names, docker: [], gpu: [], ...chinese, 的: ['quiet'], 'docker 的': ['quiet'] }, 'it has changed')
assert.deepEqual(seen.around, { ...names, ...chinese, 的: [], 'docker 的': ['docker'] }, 'the remedy has changed')
assert.deepEqual([tokens, stemmed], [[['Docker'], ['AB', '12']], 0], 'the settings have changed')
console.log('as described')
JS
node ask.mjs
