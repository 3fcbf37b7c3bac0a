import packageJson from '../../package.json' with { type: 'json' }
import { serveApi } from '../admin/api.ts'
import { serveHttp } from '../admin/http.ts'
import { Bridge } from '../bridge.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { ApiClient } from '../kube/api-client.ts'
import { type KubeConfigOptions, loadKubeConfig } from '../kube/kube-config.ts'
import { systemClock } from '../lib/clock.ts'
import { createLog } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { ExitCode } from './exit-code.ts'
import type { ProcessEdge } from './process-edge.ts'

export interface RunOptions extends KubeConfigOptions {
  /** Path of the configuration. */
  readonly config: string
  /** Values of the process section by path, stronger than the environment. */
  readonly args?: Readonly<Record<string, string>>
}

/**
 * `deltawire run`: reads and delivers until asked to stop, then drains. Throws a ConfigError or a KubeConfigError before
 * anything is started.
 */
export async function run({ config: file, args = {}, ...kube }: RunOptions, edge: ProcessEdge): Promise<ExitCode> {
  const { env, stdout, stderr, signal } = edge
  const config = await loadConfig({ file, env, args })
  const kubeConfig = loadKubeConfig(kube)
  const clock = systemClock
  const logger = createLog(config.log, stderr)
  for (const warning of config.warnings) logger.warn({ warning: formatProblem(warning) }, 'doubtful configuration')
  const metrics = new Metrics({ clock, version: packageJson.version, include: 'process' })
  await using api = new ApiClient(kubeConfig, { clock, reload: () => loadKubeConfig(kube) })
  const bridge = await Bridge.create({
    config,
    api,
    metrics,
    logger,
    stdout,
    env,
    clock,
    random: Math.random,
  })
  const readiness = () => bridge.readiness()
  await using http = await serveHttp({ ...config.http, metrics, readiness, log: logger })
  const { deadLetters, snapshots } = bridge
  await using admin =
    config.admin.listen === 'off' ? undefined : await serveApi({ ...config.admin, deadLetters, snapshots, log: logger })
  logger.info({ version: packageJson.version, config: file, http: http.url, admin: admin?.url ?? 'off' }, 'started')
  await bridge.run(signal)
  return ExitCode.done
}
