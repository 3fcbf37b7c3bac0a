/** `npm run bench [-- NAME ...] [--json] [--profile FOLDER]`: figures, as ratios within one run. */
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import * as bareLoop from './bare-loop.ts'
import * as digests from './digests.ts'
import * as ledger from './ledger.ts'
import * as sinkLatency from './sink-latency.ts'
import { type Report, table } from './support/report.ts'
import * as where from './where.ts'

interface Benchmark {
  /** One line. */
  readonly description: string
  /** Rejects if what is measured does not do its work. `profile`: folder for CPU profiles of the bridge. */
  run(profile?: string): Promise<Report>
}

const benchmarks = new Map<string, Benchmark>([
  ['bare-loop', bareLoop],
  ['sink-latency', sinkLatency],
  ['where', where],
  ['digests', digests],
  ['ledger', ledger],
])

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, profile: { type: 'string' } },
  allowPositionals: true,
})
const profile = values.profile && resolve(values.profile)
if (profile) await mkdir(profile, { recursive: true })
const unknown = positionals.filter((name) => !benchmarks.has(name))

if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}.\n`)
  for (const [name, { description }] of benchmarks) console.error(`${name.padEnd(14)} ${description}`)
  process.exitCode = 2
} else {
  for (const name of positionals.length > 0 ? positionals : benchmarks.keys()) {
    const benchmark = benchmarks.get(name)
    if (!benchmark) continue
    if (!values.json) console.log(`\n${name}: ${benchmark.description}\n`)
    const report = await benchmark.run(profile)
    console.log(values.json ? JSON.stringify({ name, ...report.result }) : table(report))
  }
}
