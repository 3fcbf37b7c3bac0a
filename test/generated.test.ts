import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { generatedFiles } from '../scripts/generated.ts'

const root = new URL('../', import.meta.url)
const files = await generatedFiles()

for (const { path, content } of files) {
  test(`${path} is what its definition says`, async () => {
    const present = await readFile(new URL(path, root), 'utf8').catch(() => undefined)
    assert.ok(present === content, `${path} is stale or missing: run \`npm run generate\` and commit the result`)
  })

  test(`${path} says where it, or a part of it, comes from`, () => {
    assert.match(content, /Generated from \S+ by `npm run generate`/)
  })
}

test('docs/schemas holds the schemas that are generated and no other', async () => {
  const folder = 'docs/schemas/'
  const expected = files.filter(({ path }) => path.startsWith(folder)).map(({ path }) => path.slice(folder.length))
  assert.deepEqual((await readdir(new URL(folder, root))).sort(), expected.sort(), 'delete what is no longer generated')
})
