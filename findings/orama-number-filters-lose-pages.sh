#!/usr/bin/env bash
# @orama/orama 3.1.18.
#
# A search over documents asks for those of a time: `where: { year: { gte: 2020 } }`. Orama keeps numbers in a tree of its own beside the
# documents. Whoever removes a page, or updates it, which is to remove and insert it, should lose that page from the tree and no other.
#
# Seen: of seven reports of seven years, inserted in order, that of 2022 is removed. From then on no filter by number finds those of 2020,
# 2021 and 2023, by `gte`, `lte`, `between` or `eq`, though each is in the index, and a search without the filter finds all six. `update`
# of the report of 2022, with the very same content, loses the same three. `save` and `load` keep the loss, and no error is raised. (Of the
# other six years the removal of none does it: what is lost depends on the order in which numbers came.) The same years as an `enum`, asked
# for with `in`, are all found, before and after; an index that is built anew has all, too.
#
# For a RAG user half of the documents are gone for whoever filters by date, size or version, from some update on, and there for everybody
# else. Upstream: orama 773 (2024) had a crash in the same tree; of lost documents no issue was found as of November 2026.
#
# Fails if that changes. Linux or macOS with node 20 or later and npm; some 10 MB in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @orama/orama@3.1.18
cat >ask.mjs <<'JS'
import assert from 'node:assert/strict'
import { create, insert, load, remove, save, search, update } from '@orama/orama'

const YEARS = [2020, 2021, 2022, 2023, 2024, 2025, 2026]
const report = (year) => ({ id: `${year}`, text: `annual report of ${year}`, year, label: year })
const empty = () => create({ schema: { id: 'string', text: 'string', year: 'number', label: 'enum' } })

async function build(years) {
  const db = empty()
  for (const year of years) await insert(db, report(year))
  return db
}

async function ask(db) {
  const found = async (params) => (await search(db, { limit: 100, ...params })).hits.map(({ id }) => Number(id)).sort()
  const each = []
  for (const year of YEARS) each.push(...(await found({ where: { year: { eq: year } } })))
  return {
    words: await found({ term: 'report' }),
    gte: await found({ where: { year: { gte: 2020 } } }),
    lte: await found({ where: { year: { lte: 2026 } } }),
    between: await found({ where: { year: { between: [2020, 2026] } } }),
    eq: each,
    enum: await found({ where: { label: { in: YEARS } } }),
  }
}

async function reloaded(db) {
  const again = empty()
  load(again, JSON.parse(JSON.stringify(save(db))))
  return again
}

const removed = await build(YEARS)
await remove(removed, '2022')
const updated = await build(YEARS)
await update(updated, '2022', report(2022))
const without = YEARS.filter((year) => year !== 2022)
const seen = {
  'all seven': await ask(await build(YEARS)), removed: await ask(removed), updated: await ask(updated),
  'saved and loaded': await ask(await reloaded(removed)), 'built anew': await ask(await build(without)),
}
for (const [when, answers] of Object.entries(seen)) console.log(when.padEnd(16), JSON.stringify(answers))
const numbers = (years) => ({ gte: years, lte: years, between: years, eq: years })
assert.deepEqual(seen['all seven'], { words: YEARS, ...numbers(YEARS), enum: YEARS }, 'a fresh index has changed')
assert.deepEqual(seen['built anew'], { words: without, ...numbers(without), enum: without }, 'a fresh index has changed')
const lost = { words: without, ...numbers([2024, 2025, 2026]), enum: without }
for (const when of ['removed', 'saved and loaded']) assert.deepEqual(seen[when], lost, `${when}: it has changed`)
assert.deepEqual(seen.updated, { words: YEARS, ...numbers([2022, 2024, 2025, 2026]), enum: YEARS }, 'updated: it has changed')
const losing = []
for (const year of YEARS) {
  const db = await build(YEARS)
  await remove(db, `${year}`)
  if ((await ask(db)).gte.length < 6) losing.push(year)
}
assert.deepEqual(losing, [2022], 'which removal loses others has changed')
console.log('as described')
JS
node ask.mjs
