/** What a benchmark found: for people as a table, for programs as it is. */
export interface Report {
  readonly result: object
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** The columns side by side, the first one to the left and numbers to the right. */
export function table({ columns, rows }: Report): string {
  const all = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ')
  return all.map(line).join('\n')
}
