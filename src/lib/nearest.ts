/**
 * The candidate that `word` was probably meant to be: the one with the fewest edits (insert, delete, replace, swap of
 * neighbours; case costs nothing), if that is at most a third of the word's length, or one in a shorter word. To be the beginning
 * of the other counts as one edit, from three characters on. Ties: the fewest real edits, then the first.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const text = word.slice(0, 64).toLowerCase()
  let best: string | undefined
  let least = Math.min(Math.max(1, Math.floor(text.length / 3)), text.length - 1) + 1
  let leastEdits = 0
  for (const candidate of candidates) {
    const other = candidate.slice(0, 64).toLowerCase()
    const real = edits(text, other)
    const distance = isBeginning(text, other) || isBeginning(other, text) ? Math.min(real, 1) : real
    if (distance < least || (distance === least && real < leastEdits)) {
      ;[best, least, leastEdits] = [candidate, distance, real]
    }
  }
  return best
}

const isBeginning = (a: string, b: string): boolean => a.length > 2 && a.length < b.length && b.startsWith(a)

/** Optimal string alignment distance, row by row. */
function edits(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(above, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(before, j - 2) + 1 : replaced
      row.push(Math.min(at(above, j) + 1, at(row, j - 1) + 1, replaced, swapped))
    }
    ;[before, above] = [above, row]
  }
  return at(above, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? 0
