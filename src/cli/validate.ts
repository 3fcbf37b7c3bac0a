import type { Arguments, Environment } from '../config/layers.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { ConfigError, formatConfigError, formatProblem } from '../config/problem.ts'
import { ExitCode } from './exit-code.ts'

export interface ValidateOptions {
  readonly file: string
  readonly env: Environment
  readonly args?: Arguments
  readonly stdout: Output
  readonly stderr: Output
}

interface Output {
  write(text: string): unknown
}

/**
 * Opens no connection. What is valid is summarised on stdout; what is wrong goes to stderr, a line for each problem, and
 * so do warnings, which change nothing about the exit code.
 */
export async function validate({ stdout, stderr, ...options }: ValidateOptions): Promise<ExitCode> {
  try {
    const config = await loadConfig(options)
    stdout.write(summary(options.file, config))
    for (const warning of config.warnings) stderr.write(`warning: ${formatProblem(warning)}\n`)
    return ExitCode.done
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    stderr.write(formatConfigError(error))
    return ExitCode.usage
  }
}

function summary(file: string, { sources, routes, sinks }: LoadedConfig): string {
  const allSinks = sinks.map(({ options }) => options.name).join(', ')
  const lines = [
    `${file} is valid`,
    ...sources.map(
      ({ name, resources, namespaces }) =>
        `source ${name}: ${resources.join(', ')} in ${namespaces?.join(', ') ?? 'all namespaces'}`,
    ),
    ...routes.map(({ name, from, to }) => `route ${name}: ${from?.join(', ') ?? 'all sources'} -> ${to.join(', ')}`),
    ...(routes.length === 0 ? [`no routes: all sources -> ${allSinks}`] : []),
    ...sinks.map(({ options }) => `sink ${options.name}: ${options.type}${options.required ? '' : ', not required'}`),
  ]
  return `${lines.join('\n')}\n`
}
