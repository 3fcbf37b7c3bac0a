/** docs/write-a-sink.md is written by hand, but for the files of examples/custom-sink that it shows. */
import { readFile } from 'node:fs/promises'
import type { GeneratedFile } from '../src/config/generate.ts'

const PATH = 'docs/write-a-sink.md'
const ORIGIN = 'Generated from examples/custom-sink by `npm run generate`'
const shown = [
  ['line-sink.js', 'js'],
  ['deltawire.yaml', 'yaml'],
] as const

/** Rejects naming the file that the page has no place for. */
export async function sinkGuide(): Promise<readonly GeneratedFile[]> {
  const read = async (path: string) => await readFile(new URL(`../${path}`, import.meta.url), 'utf8')
  let content = await read(PATH)
  for (const [file, language] of shown) {
    const begin = `<!-- ${ORIGIN}: ${file} -->`
    const end = `<!-- end of ${file} -->`
    const [before, rest] = content.split(begin)
    const after = rest?.split(end)[1]
    if (after === undefined) throw new Error(`${PATH} has no place for ${file}: write ${begin} and ${end} into it`)
    const text = await read(`examples/custom-sink/${file}`)
    content = `${before}${begin}\n\n\`\`\`${language}\n${text}\`\`\`\n\n${end}${after}`
  }
  return [{ path: PATH, content }]
}
