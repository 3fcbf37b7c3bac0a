/** `npm run generate`: writes every generated file. test/generated.test.ts fails while one is stale. */
import { mkdir, writeFile } from 'node:fs/promises'
import { generatedFiles } from './generated.ts'

const root = new URL('../', import.meta.url)

for (const { path, content } of await generatedFiles()) {
  const file = new URL(path, root)
  await mkdir(new URL('./', file), { recursive: true })
  await writeFile(file, content)
  console.log(path)
}
