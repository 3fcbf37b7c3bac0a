/** docs/metrics.md is written by hand, but for the table of all metrics between two marks, which comes from their definitions. */
import { readFile } from 'node:fs/promises'
import type { GeneratedFile } from '../src/events/reference.ts'
import { systemClock } from '../src/lib/clock.ts'
import { Metrics } from '../src/telemetry/metrics.ts'

const PATH = 'docs/metrics.md'
const BEGIN = '<!-- Generated from src/telemetry by `npm run generate`: the metrics -->'
const END = '<!-- end of metrics -->'

/** Rejects if the page is missing, or has no place for the table. */
export async function metricsPage(): Promise<readonly GeneratedFile[]> {
  const page = await readFile(new URL(`../${PATH}`, import.meta.url), 'utf8')
  const [before, rest] = page.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error(`${PATH} has no place for the table: write ${BEGIN} and ${END} into it`)
  return [{ path: PATH, content: `${before}${BEGIN}\n\n${table()}\n\n${END}${after}` }]
}

function table(): string {
  const rows = new Metrics({ clock: systemClock, version: '' })
    .definitions()
    .map(({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`)
  return ['| name | type | labels | |', '|---|---|---|---|', ...rows].join('\n')
}
