/** What a command may know of the process that it runs in; `main.ts` alone touches the process itself. */
export interface ProcessEdge {
  /** Without node and script. */
  readonly args: readonly string[]
  /** Version of Node: `24.21.0`. */
  readonly node: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Opened when it is first read. */
  readonly stdin: () => AsyncIterable<Uint8Array>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Aborts when the process is asked to stop (SIGINT, SIGTERM). */
  readonly signal: AbortSignal
}
