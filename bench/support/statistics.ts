/** Of numbers in any order. Throws a RangeError for none. */
export function median(values: readonly number[]): number {
  return percentile(
    [...values].sort((a, b) => a - b),
    50,
  )
}

/** The smallest of the sorted values that is not below `percent` of them. Throws a RangeError for none. */
export function percentile(sorted: readonly number[], percent: number): number {
  const value = sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)]
  if (value === undefined) throw new RangeError('there are no values')
  return value
}
