import assert from 'node:assert/strict'
import { mutants } from '../../src/bridge/testing/mutants.ts'
import { MutationBench } from '../../src/bridge/testing/mutation.ts'

export const description =
  'The rules of restarts and catch-ups, each broken: lives of a stream at random notice. [SEED] [HISTORIES] [PART OF A NAME]'

export async function prove([seed, histories, part = '']: readonly string[]): Promise<void> {
  const search = { seed: Number(seed ?? 1), histories: Number(histories ?? 10_000) }
  const survivors: string[] = []
  await using bench = await MutationBench.open()
  for (const mutant of mutants.filter(({ without }) => without.includes(part))) {
    const verdict = await bench.run(mutant, search)
    const fate = verdict.type === 'caught' ? `caught after ${verdict.histories}: ${verdict.reason}` : 'SURVIVED'
    console.log(`without "${mutant.without}": ${fate}`)
    if (verdict.type === 'survived') survivors.push(mutant.without)
  }
  assert.deepEqual(survivors, [], `nobody noticed in ${search.histories} histories from seed ${search.seed}`)
}
