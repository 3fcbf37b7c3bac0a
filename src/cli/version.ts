import packageJson from '../../package.json' with { type: 'json' }
import { ExitCode } from './exit-code.ts'
import type { ProcessEdge } from './process-edge.ts'

/** `deltawire version`: `deltawire 0.1.0, node 24.21.0`, what a bug report needs. */
export function version({ node, stdout }: Pick<ProcessEdge, 'node' | 'stdout'>): ExitCode {
  stdout.write(`deltawire ${packageJson.version}, node ${node}\n`)
  return ExitCode.done
}
