import { commandOf, type OracleResult, type OracleServer, playSeed } from '../e2e/support/oracle-run.ts'

export const description =
  'Random faults of bridge, server and sinks, judged by the logs of the sinks: (real | simulator) [SEED] [SEEDS]'

/** Seeds, and how many are played at a time: they mostly wait. */
const defaults = { real: { seeds: 20, atATime: 1 }, simulator: { seeds: 200, atATime: 3 } } as const
const SHOWN_PROBLEMS = 10

export async function prove([server, seed, seeds]: readonly string[]): Promise<void> {
  if (server !== 'real' && server !== 'simulator') throw new Error('on which server? oracle real, or oracle simulator')
  const first = Number(seed ?? Math.floor(Math.random() * 1e6))
  const all = Array.from({ length: Number(seeds ?? defaults[server].seeds) }, (_, index) => first + index)
  const waiting = [...all]
  const failed: number[] = []
  const totals: Record<string, number> = {}
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await playAndTell(server, next, totals))) failed.push(next)
    }
  }
  await Promise.all(Array.from({ length: defaults[server].atATime }, work))
  console.log(JSON.stringify({ server, seeds: all.length, failed: failed.length, ...totals }))
  if (failed.length > 0) throw new Error(`failed: ${failed.map((one) => commandOf(server, one)).join('; ')}`)
}

async function playAndTell(server: OracleServer, seed: number, totals: Record<string, number>): Promise<boolean> {
  try {
    const { problems, ...result } = await playSeed(server, seed, 'long')
    console.log(JSON.stringify({ ...result, problems: problems.length }))
    addTo(totals, result)
    if (problems.length === 0) return true
    tell(server, seed, problems)
  } catch (error) {
    tell(server, seed, [error instanceof Error ? (error.stack ?? error.message) : String(error)])
  }
  return false
}

function tell(server: OracleServer, seed: number, problems: readonly string[]): void {
  console.error(`seed ${seed} failed. Again: ${commandOf(server, seed)}`)
  for (const problem of problems.slice(0, SHOWN_PROBLEMS)) console.error(`  ${problem}`)
  if (problems.length > SHOWN_PROBLEMS) console.error(`  and ${problems.length - SHOWN_PROBLEMS} more`)
}

function addTo(totals: Record<string, number>, result: Partial<OracleResult>): void {
  for (const [name, value] of Object.entries(result)) {
    if (typeof value === 'number' && name !== 'seed') totals[name] = Math.round(((totals[name] ?? 0) + value) * 10) / 10
  }
}
