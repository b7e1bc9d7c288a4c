#!/usr/bin/env bash
# @mastra/rag 2.6.4.
#
# Mastra cuts Markdown before headings, LaTeX before sections and program text before functions: it has a list of such marks for each language,
# most of them regular expressions. What is cut off a text, by `MDocument.fromMarkdown(page).chunk()` with no more than that, should be that
# text.
#
# Seen: marks are taken away, as the docs say of separators whose place is not told, and where pieces have room in one chunk and are put
# together again, it is the regular expression that stands between them. A page that has room in one chunk is changed as well.
# - Markdown: "## Rotation" becomes "#{1,6} Rotation", as does each heading after the first; a heading that begins a chunk has no mark, so that
#   it is a line like others. Where a heading was, and of which level, nothing tells any more.
# - LaTeX: "\subsection{Rotation}" becomes "Rotation}".
# - Program text: "function rotate() {" becomes "rotate() {", and in PHP "\nfunction", with a backslash and an "n", stands between two
#   functions.
# Nothing is logged, and no word of the prose is lost. `separatorPosition: 'start'` keeps the text as it is; where the headings are named
# (`headers`) they are metadata, and the text has no patterns either. The script shows both.
#
# For a RAG user headings are what a model tells passages apart by and what a link to a section is made of; a manual that quotes code answers
# with code that does not run. No issue was found as of November 2026. (Of HTML it is known that each level of nesting repeats the text: mastra
# 24186, closed in September 2026 and still so in this release.)
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

const PAGE = `# Keys

Keys sign each answer.

## Rotation

Rotate them every ninety days.

### Backup

You may not delete a key before the backup.`
const LATEX = '\\section{Keys}\nKeys sign each answer.\n\\subsection{Rotation}\nRotate them every ninety days.'
const PHP = '<?php\nfunction sign() {\n  return 1;\n}\nfunction rotate() {\n  return 2;\n}'
const SCRIPT = 'let keys\nfunction sign() {\n  return 1\n}\nfunction rotate() {\n  return 2\n}'

const chunk = async (document, settings) => (await document.chunk(settings)).map(({ text }) => text)
const ways = {
  'a page in one chunk': [() => MDocument.fromMarkdown(PAGE), {}],
  'the page in pieces': [() => MDocument.fromMarkdown(PAGE), { strategy: 'markdown', maxSize: 90, overlap: 0 }],
  LaTeX: [() => MDocument.fromText(LATEX), { strategy: 'latex', maxSize: 60, overlap: 0 }],
  PHP: [() => MDocument.fromText(PHP), { strategy: 'recursive', language: 'php', maxSize: 80, overlap: 0 }],
  JavaScript: [() => MDocument.fromText(SCRIPT), { strategy: 'recursive', language: 'js', maxSize: 50, overlap: 0 }],
}
const seen = {}
const kept = {}
for (const [name, [made, settings]] of Object.entries(ways)) {
  seen[name] = await chunk(made(), settings)
  kept[name] = await chunk(made(), { strategy: 'markdown', ...settings, separatorPosition: 'start' })
  console.log(name.padEnd(20), JSON.stringify(seen[name]))
}
const levels = [['#', 'h1'], ['##', 'h2'], ['###', 'h3']]
const headers = await chunk(MDocument.fromMarkdown(PAGE), { strategy: 'markdown', headers: levels })
console.log('with `headers`      ', JSON.stringify(headers))
assert.deepEqual(seen['a page in one chunk'], [PAGE.replace(/#{2,3} /g, '#{1,6} ')], 'it has changed')
assert.equal(seen['the page in pieces'].filter((text) => text.includes('#{1,6} Rotation')).length, 1, 'pieces have changed')
assert.ok(seen['the page in pieces'].some((text) => text.startsWith('Backup\n')), 'pieces have changed')
assert.deepEqual(seen.LaTeX.map((text) => text.split('\n')[0]), ['Keys}', 'Rotation}'], 'LaTeX has changed')
assert.ok(seen.PHP.join(' ').includes('\\nfunction rotate()'), 'PHP has changed')
assert.equal(seen.JavaScript.at(-1).split('\n')[0], 'rotate() {', 'JavaScript has changed')
const texts = { LaTeX: LATEX, PHP, JavaScript: SCRIPT }
for (const [name, pieces] of Object.entries(kept)) {
  const words = (text) => text.split(/\s+/).filter(Boolean)
  assert.deepEqual(words(pieces.join('\n')), words(texts[name] ?? PAGE), `the remedy has changed: ${name}`)
}
assert.deepEqual(headers.map((text) => text.split(' ')[0]), ['Keys', 'Rotate', 'You'], '`headers` has changed')
console.log('as described')
JS
node ask.mjs
