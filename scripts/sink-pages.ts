/** docs/sinks/TYPE.md is written by hand, but for the options between two marks, which come from the sink's schema. */
import { readFile } from 'node:fs/promises'
import { sinkTypes } from '../sinks/index.ts'
import { type GeneratedFile, optionsOf } from '../src/config/generate.ts'

const BEGIN = '<!-- Generated from sinks by `npm run generate`: the options -->'
const END = '<!-- end of options -->'

/** Rejects naming the page that is missing, or has no place for the options. */
export async function sinkPages(): Promise<readonly GeneratedFile[]> {
  return await Promise.all(
    Object.entries(sinkTypes).map(async ([type, load]) => {
      const path = `docs/sinks/${type}.md`
      const page = await readFile(new URL(`../${path}`, import.meta.url), 'utf8')
      const { sink } = await load()
      const [before, rest] = page.split(BEGIN)
      const after = rest?.split(END)[1]
      if (after === undefined)
        throw new Error(`${path} has no place for the options: write ${BEGIN} and ${END} into it`)
      return { path, content: `${before}${BEGIN}\n\n${optionsOf(sink)}\n\n${END}${after}` }
    }),
  )
}
