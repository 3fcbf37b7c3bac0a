/** What the process ends with. `usage`: wrong arguments, or a configuration that is refused. */
export const ExitCode = { done: 0, failed: 1, usage: 2 } as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
