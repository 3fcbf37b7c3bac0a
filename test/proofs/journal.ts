import { surviveKills } from '../../src/journal/testing/kills.ts'

export const description = 'A journal whose process is killed again and again while it appends. [KILLS]'

export async function prove([kills]: readonly string[]): Promise<void> {
  const started = performance.now()
  const result = await surviveKills(Number(kills ?? 200), Math.random)
  console.log(JSON.stringify({ ...result, seconds: Math.round((performance.now() - started) / 1000) }))
}
