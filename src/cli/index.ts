/** The command line: one program, one file per command. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { processArguments } from '../config/load.ts'
import { ConfigError, formatConfigError } from '../config/problem.ts'
import { KubeConfigError } from '../kube/kube-config.ts'
import { systemClock } from '../lib/clock.ts'
import { parseDuration } from '../lib/units.ts'
import { type AdminEdge, type AdminOutput, adminOutputs } from './admin-edge.ts'
import { ExitCode } from './exit-code.ts'
import type { ProcessEdge } from './process-edge.ts'
import { type RbacOptions, type RbacOutput, rbacOutputs } from './rbac.ts'
import type { RunOptions } from './run.ts'
import type { SnapshotOptions } from './snapshot.ts'
import type { VerifyCopyOptions } from './verify-copy.ts'

/** Runs one command. Never rejects for what a user can mend: that is told on standard error. */
export async function main(edge: ProcessEdge): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.done
  const program = new Command('deltawire')
    .description('Every change in a Kubernetes cluster, as a CloudEvent, delivered.')
    .version(packageJson.version, '--version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void edge.stdout.write(text),
      writeErr: (text) => void edge.stderr.write(text),
    })

  const run = program.command('run')
  processOptions(run)
    .description('Watch a cluster and deliver its changes, until SIGTERM.')
    .requiredOption('--config <file>', 'configuration, see docs/configuration.md')
    .option('--kubeconfig <file>', 'kubeconfig (default: KUBECONFIG, ~/.kube/config, the service account of the pod)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--master <url>', 'URL of the API server, instead of the one in the kubeconfig')
    .action(async (options: RunOptions & Flags) => {
      const command = await import('./run.ts')
      exitCode = await command.run({ ...options, args: processArgs(options) }, edge)
    })

  program
    .command('demo')
    .description('Show it on a simulated cluster: nothing else is needed.')
    .option('--for <duration>', 'end after this time, for example 10s', duration)
    .action(async (options: { readonly for?: number }) => {
      const { demo } = await import('./demo.ts')
      exitCode = await demo({ ...(options.for !== undefined && { forMs: options.for }) }, edge)
    })

  const validate = program.command('validate')
  processOptions(validate)
    .description('Check a configuration and report every error in it.')
    .requiredOption('--config <file>', 'configuration, see docs/configuration.md')
    .action(async ({ config, ...options }: { readonly config: string } & Flags) => {
      const command = await import('./validate.ts')
      const { env, stdout, stderr } = edge
      exitCode = await command.validate({ file: config, args: processArgs(options), env, stdout, stderr })
    })

  const rbac = program.command('rbac')
  processOptions(rbac)
    .description('Print the rights that a configuration needs in the cluster, as roles and their bindings.')
    .requiredOption('--config <file>', 'configuration, see docs/configuration.md')
    .option('--name <name>', 'service account that the roles, called NAMESPACE-NAME, are bound to', 'deltawire')
    .option('--namespace <name>', 'namespace that Deltawire runs in', 'deltawire')
    .addOption(
      new Option('--output <what>', 'manifests for kubectl, or values for the Helm chart with existingConfigMap')
        .choices(rbacOutputs)
        .default('manifests' satisfies RbacOutput),
    )
    .action(async ({ config, name, namespace, output, ...options }: RbacFlags) => {
      const command = await import('./rbac.ts')
      const { env, stdout, stderr } = edge
      const args = processArgs(options)
      exitCode = await command.rbac({ file: config, name, namespace, output, args, env, stdout, stderr })
    })

  program
    .command('status')
    .description('Ask a running bridge whether it is ready, and what it waits for.')
    .option('--url <url>', 'where its probes are served, see http.listen', 'http://127.0.0.1:8080')
    .option('--wait <duration>', 'wait so long for it to become ready, for example 60s', duration)
    .action(async ({ url, wait = 0 }: { readonly url: string; readonly wait?: number }) => {
      const command = await import('./status.ts')
      exitCode = await command.status({ ...edge, url, waitMs: wait, clock: systemClock })
    })

  const dlq = program.command('dlq').description('Look at what could not be delivered, and send it again.')
  const dlqCommand = (name: string) => adminOptions(dlq.command(name))
  dlqCommand('list')
    .description('List dead letters, oldest first.')
    .option('--sink <name>', 'only of this sink')
    .option('--limit <number>', 'at most so many', count, 1000)
    .action(async ({ sink, limit, ...to }: DlqFlags & { readonly limit: number }) => {
      const { list } = await import('./dlq.ts')
      exitCode = await list({ sink, limit }, { ...edge, ...to })
    })
  dlqCommand('show')
    .description('Print one with its event, as JSON.')
    .argument('<id>', 'as dlq list shows it')
    .action(async (id: string, to: DlqFlags) => {
      const { show } = await import('./dlq.ts')
      exitCode = await show(id, { ...edge, ...to })
    })
  dlqCommand('replay')
    .description('Send dead letters to their sinks once more, and wait for what becomes of each.')
    .argument('[id...]', 'as dlq list shows them')
    .option('--sink <name>', 'all of this sink')
    .option('--all', 'all there are', false)
    .action(async (ids: readonly string[], { sink, all, ...to }: DlqFlags & { readonly all: boolean }) => {
      const { replay } = await import('./dlq.ts')
      exitCode = await replay({ ids, sink, all }, { ...edge, ...to })
    })

  adminOptions(program.command('snapshot'))
    .description('Ask a running bridge for a snapshot: of the streams of a source, or of one stream.')
    .argument('<source-or-stream>', 'workloads, workloads/pods or workloads/pods/shop')
    .option('--namespace <name...>', 'only objects of these namespaces')
    .option('--selector <labels>', 'only objects with these labels, for example app=web,tier!=cache')
    .option('--sink <name>', 'only for this sink')
    .option('--wait', 'wait for the end of each, however long its sink is out of order', false)
    .action(async (of: string, { url, output, ...options }: Pick<AdminEdge, 'url' | 'output'> & SnapshotOptions) => {
      const { snapshot } = await import('./snapshot.ts')
      exitCode = await snapshot(of, options, { ...edge, url, output })
    })

  program
    .command('verify-copy')
    .description('Check a copy (JSON lines of key, uid, resourceVersion) against the end of a snapshot.')
    .option('--file <file>', 'the copy (default: standard input)')
    .option('--end <file>', 'the event that ends a snapshot, as JSON, or its data alone')
    .option('--members <hex>', 'what the end says, instead of --end: its digest of which objects there are')
    .option('--state <hex>', 'its digest of their versions')
    .option('--items <number>', 'its number of objects')
    .action(async (options: VerifyCopyOptions) => {
      const { verifyCopy } = await import('./verify-copy.ts')
      exitCode = await verifyCopy(options, edge)
    })

  program
    .command('version')
    .description('Print the version, and that of Node.')
    .action(async () => {
      const { version } = await import('./version.ts')
      exitCode = version(edge)
    })

  try {
    await program.parseAsync(edge.args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage
    if (error instanceof ConfigError) {
      edge.stderr.write(formatConfigError(error))
      return ExitCode.usage
    }
    if (error instanceof KubeConfigError) {
      edge.stderr.write(`deltawire: ${error.message}\n`)
      return ExitCode.usage
    }
    edge.stderr.write(`deltawire: ${error instanceof Error ? error.message : String(error)}\n`)
    return ExitCode.failed
  }
}

type Flags = Readonly<Record<string, unknown>>
type DlqFlags = Pick<AdminEdge, 'url' | 'output'> & { readonly sink?: string }
type RbacFlags = Pick<RbacOptions, 'name' | 'namespace' | 'output'> & { readonly config: string } & Flags

/** Of a command that talks to a running bridge. */
function adminOptions(command: Command): Command {
  return command
    .option('--url <url>', 'where the admin API is served, see admin.listen', 'http://127.0.0.1:8090')
    .addOption(
      new Option('--output <format>', 'json: an object a line, for programs')
        .choices(adminOutputs)
        .default('text' satisfies AdminOutput),
    )
}

/** Every value of the process section can be given on the command line: `--log.level debug`. */
function processOptions(command: Command): Command {
  for (const { path, description } of processArguments) command.option(`--${path} <value>`, description)
  return command
}

function processArgs(options: Flags): Readonly<Record<string, string>> {
  return Object.fromEntries(
    processArguments.flatMap(({ path }) => (typeof options[path] === 'string' ? [[path, options[path]]] : [])),
  )
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('not a number above 0')
  return Number(text)
}

function duration(text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
  }
}
