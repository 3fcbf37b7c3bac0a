import type { Comparison } from './oracle.ts'

/** What should be zero, or says how much came twice. */
export interface Losses {
  /** Versions that neither arrived nor were made up for by a later one. */
  readonly lost: number
  readonly outOfOrder: number
  /** Events that came again, with the same source and id. */
  readonly duplicates: number
}

export function lossesOf({ problems, duplicates }: Comparison): Losses {
  const lost = problems.filter((problem) => problem.endsWith(' never arrived')).length
  const outOfOrder = problems.filter((problem) => / arrived (after|before) /.test(problem)).length
  return { lost, outOfOrder, duplicates }
}
