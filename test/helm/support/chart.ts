/** The chart, rendered by a real Helm. */
import { type ExecFileException, execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type Component, use } from '../../testbed/component.ts'
import { helm3, helm4 } from '../../testbed/helm.ts'

export const helms: readonly Component[] = [helm3, helm4]
export const chart = 'helm'

/** Values as a mapping, or as YAML. */
export type Values = string | Readonly<Record<string, unknown>>

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [member: string]: unknown
}

/** What the tests look at of a pod; the rest is the API server's to judge. */
export interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly hostUsers?: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext?: Readonly<Record<string, unknown>>
  readonly imagePullSecrets?: readonly { readonly name: string }[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Readonly<Record<string, unknown>>[]
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly env?: readonly unknown[]
  readonly envFrom?: readonly unknown[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
  readonly startupProbe: Probe
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

const home = mkdtempSync(join(tmpdir(), 'deltawire-helm-'))
process.on('exit', () => rmSync(home, { recursive: true, force: true }))

/** What it printed. Rejects with a HelmError if it fails. It has a home of its own, without a cluster. */
export async function helm(component: Component, args: readonly string[], values?: Values): Promise<string> {
  const file = await use(component)
  const input = typeof values === 'string' ? values : JSON.stringify(values)
  const withValues = values === undefined ? args : [...args, '--values', '-']
  return await new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH, HOME: home }
    const child = execFile(file, withValues, { maxBuffer: 2 ** 24, env }, (error, stdout, stderr) => {
      if (error) reject(new HelmError(component, error, stderr + stdout))
      else resolve(stdout)
    })
    child.stdin?.end(input)
  })
}

/** Helm's refusal, as a person reads it. */
export class HelmError extends Error {
  constructor({ name }: Component, cause: ExecFileException, said: string) {
    super(`${name}: ${said.replace('Use --debug flag to render out invalid YAML', '').trim()}`, { cause })
  }
}

/** Everything that an installation as `deltawire` in namespace `deltawire` would make, hooks included. */
export async function render(
  component: Component,
  values: Values = {},
  ...args: readonly string[]
): Promise<readonly Manifest[]> {
  const text = await helm(component, ['template', 'deltawire', chart, '--namespace', 'deltawire', ...args], values)
  return manifestsIn(text)
}

/** The objects of a rendered text. */
export function manifestsIn(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`rendered YAML is not valid: ${document.errors.join()}`)
    const value = document.toJS() as Manifest | null
    return value === null ? [] : [value]
  })
}

/** What Helm says of these values, which it refuses. */
export async function refusal(component: Component, values: Values, ...args: readonly string[]): Promise<string> {
  try {
    await render(component, values, ...args)
  } catch (error) {
    if (error instanceof HelmError) return error.message
    throw error
  }
  throw new Error(`${component.name} accepts ${JSON.stringify(values)}`)
}

export function find(manifests: readonly Manifest[], kind: string): Manifest {
  const [found, another] = manifests.filter((manifest) => manifest.kind === kind)
  if (!found || another) throw new Error(`${another ? 'more than one' : 'no'} ${kind} is rendered`)
  return found
}

export function podOf(manifests: readonly Manifest[]): PodSpec {
  const { template } = find(manifests, 'Deployment').spec as { readonly template: { readonly spec: PodSpec } }
  return template.spec
}

/** The container `deltawire`. */
export function containerOf(manifests: readonly Manifest[]): Container {
  const found = podOf(manifests).containers.find(({ name }) => name === 'deltawire')
  if (!found) throw new Error('the pod has no container deltawire')
  return found
}

/** The text of deltawire.yaml in the ConfigMap of the release. */
export function configOf(manifests: readonly Manifest[]): string {
  const data = find(manifests, 'ConfigMap').data as Readonly<Record<string, string>>
  return data['deltawire.yaml'] ?? ''
}
