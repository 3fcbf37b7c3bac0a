/** What the chart makes, with Helm 3 and with Helm 4. */
import assert from 'node:assert/strict'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { parse, stringify } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { chartValues } from '../../scripts/chart/values.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { JsonSchema } from '../../src/lib/json-schema.ts'
import { helm4 } from '../testbed/helm.ts'
import {
  chart,
  configOf,
  containerOf,
  find,
  helm,
  helms,
  type Manifest,
  manifestsIn,
  podOf,
  render,
  type Values,
} from './support/chart.ts'
import { everything } from './support/everything.ts'

const folder = mkdtempSync(join(tmpdir(), 'deltawire-chart-'))
after(() => rmSync(folder, { recursive: true }))

const presets = globSync(`${chart}/presets/*.yaml`).sort()

/** Both Helms render the same; the rest of a test looks at one of the two. */
async function rendered(values: Values = {}, ...args: readonly string[]): Promise<readonly Manifest[]> {
  const [three, four] = await Promise.all(helms.map((component) => render(component, values, ...args)))
  assert.deepEqual(three, four, 'Helm 3 and Helm 4 differ')
  return three ?? []
}

async function loaded(manifests: readonly Manifest[], name: string) {
  const file = join(folder, name)
  writeFileSync(file, configOf(manifests))
  return await loadConfig({ file, env: {} })
}

test('helm lint --strict finds nothing, for the default and each preset', async () => {
  for (const component of helms) {
    for (const args of [[], ...presets.map((preset) => ['--values', preset])]) {
      assert.match(
        await helm(component, ['lint', '--strict', chart, ...args]),
        /1 chart\(s\) linted, 0 chart\(s\) failed/,
      )
    }
  }
})

test('the version of the chart and of what it installs is that of the package', () => {
  const { version, appVersion, kubeVersion } = parse(readFileSync(`${chart}/Chart.yaml`, 'utf8')) as Record<
    string,
    string
  >
  assert.deepEqual([version, appVersion], [packageJson.version, packageJson.version])
  assert.match(kubeVersion ?? '', /-0$/, 'versions of EKS and GKE have a suffix')
})

test('a Kubernetes version with the suffix of a provider is admitted', async () => {
  await rendered({}, '--kube-version', 'v1.33.4-eks-ace6451')
})

test('without values it watches pods, prints them, and may do no more than that', async () => {
  const manifests = await rendered()
  assert.deepEqual(
    manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`).sort(),
    [
      'ClusterRole  deltawire-deltawire',
      'ClusterRoleBinding  deltawire-deltawire',
      'ConfigMap deltawire deltawire',
      'Deployment deltawire deltawire',
      'Pod deltawire deltawire-ready',
      'Service deltawire deltawire',
      'ServiceAccount deltawire deltawire',
    ],
  )
  const { sources, sinks, warnings } = await loaded(manifests, 'default.yaml')
  assert.deepEqual(
    [sources.map(({ resources }) => resources), sinks.map(({ options }) => options.type)],
    [[['pods']], ['stdout']],
  )
  assert.deepEqual(warnings, [])
  assert.deepEqual(find(manifests, 'ClusterRole').rules, [
    { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
    { apiGroups: [''], resources: ['namespaces'], resourceNames: ['kube-system'], verbs: ['get'] },
  ])
})

for (const preset of presets) {
  test(`preset ${basename(preset)} is a valid configuration whose credential files are mounted`, async () => {
    const manifests = await rendered({}, '--values', preset)
    const { warnings } = await loaded(manifests, basename(preset))
    const container = containerOf(manifests)
    const mounted = (path: string) => container.volumeMounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`))
    const files = [...configOf(manifests).matchAll(/file: (\S+)/g)].map(([, file = '']) => file)
    assert.deepEqual(
      files.filter((file) => !mounted(file)),
      [],
    )
    assert.deepEqual(
      warnings.map(({ message }) => message),
      files.map(() => 'there is no such file here'),
    )
  })
}

test('TLS and a password, as preset kafka-audit.yaml has them commented out, are valid and mounted', async () => {
  const text = readFileSync(`${chart}/presets/kafka-audit.yaml`, 'utf8')
  // the comments hold keys of the sink, deeper than others, and those of `credentials`
  const whole = text.replaceAll(
    /^( {6}|)# (?= *(?:brokers|tls|sasl|ca|file|mechanism|username|password|credentials|existingSecrets):)/gm,
    '$1',
  )
  const manifests = await rendered(whole.replace(/^ *brokers:.*\n/m, ''))
  const { sinks } = await loaded(manifests, 'kafka-tls.yaml')
  const { brokers, tls, sasl } = sinks[0]?.own ?? {}
  const at = '/etc/deltawire/credentials/deltawire-kafka'
  assert.deepEqual(
    { brokers, tls, sasl },
    {
      brokers: ['kafka.kafka.svc.cluster.local:9093'],
      tls: { ca: { file: `${at}/ca.crt` } },
      sasl: { mechanism: 'scram-sha-512', username: 'deltawire', password: { file: `${at}/password` } },
    },
  )
  assert.ok(containerOf(manifests).volumeMounts.some(({ mountPath }) => mountPath === at))
})

test('the probes ask what a restart could heal, and readiness alone asks for streams and sinks', async () => {
  const { startupProbe, livenessProbe, readinessProbe, ports } = containerOf(
    await rendered({ config: { http: { listen: ':9090' } } }),
  )
  assert.deepEqual(startupProbe.httpGet, { path: '/livez', port: 'http' })
  assert.deepEqual(livenessProbe.httpGet, { path: '/livez', port: 'http' })
  assert.deepEqual(readinessProbe.httpGet, { path: '/readyz', port: 'http' })
  assert.deepEqual(ports, [{ name: 'http', containerPort: 9090, protocol: 'TCP' }])
})

test('the Service leads to a pod that is not ready too, and helm test leaves one that failed, for its log', async () => {
  const manifests = await rendered()
  const { publishNotReadyAddresses } = find(manifests, 'Service').spec as { readonly publishNotReadyAddresses: boolean }
  assert.equal(publishNotReadyAddresses, true)
  const { name, annotations } = find(manifests, 'Pod').metadata
  assert.equal(name, 'deltawire-ready')
  assert.equal(annotations?.['helm.sh/hook-delete-policy'], 'before-hook-creation,hook-succeeded')
})

test('there is never a second pod beside the first', async () => {
  const { spec } = find(await rendered(), 'Deployment')
  const { replicas, strategy } = spec as { readonly replicas: number; readonly strategy: object }
  assert.deepEqual({ replicas, strategy }, { replicas: 1, strategy: { type: 'Recreate' } })
})

test('the pod has time to drain, and 10 s more', async () => {
  const graceOf = async (values: Values) => podOf(await rendered(values)).terminationGracePeriodSeconds
  assert.equal(await graceOf({}), 30)
  assert.equal(await graceOf({ config: { shutdown: { drain: '1.5m' } } }), 100)
  assert.equal(await graceOf({ config: { shutdown: { drain: '2500ms' } } }), 13)
  assert.equal(await graceOf({ config: { shutdown: { drain: 0 } } }), 10)
  assert.equal(await graceOf({ terminationGracePeriodSeconds: 300 }), 300)
})

test('memory is limited, CPU is not', async () => {
  assert.deepEqual(containerOf(await rendered()).resources?.limits, { memory: '512Mi' })
})

test('Secrets become files under their names, and nothing else of the file system can be written but /tmp', async () => {
  const manifests = await rendered({ credentials: { existingSecrets: ['kafka', 'web.hook', 'kafka'] } })
  const { volumeMounts } = containerOf(manifests)
  assert.deepEqual(
    volumeMounts.map(({ mountPath, readOnly }) => [mountPath, readOnly ?? false]),
    [
      ['/etc/deltawire', true],
      ['/etc/deltawire/credentials/kafka', true],
      ['/etc/deltawire/credentials/web.hook', true],
      ['/tmp', false],
    ],
  )
  const { volumes } = podOf(manifests)
  assert.deepEqual(
    volumes.filter(({ secret }) => secret).map(({ name, secret }) => [name, secret]),
    [
      ['credentials-0', { secretName: 'kafka' }],
      ['credentials-1', { secretName: 'web.hook' }],
    ],
  )
  assert.deepEqual(volumes.at(-1), { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } })
})

test('an expression with braces and a large number reach the process as they were written', async () => {
  const topic = 'a {{ .Release.Name }} b'
  const values = {
    config: {
      routes: [{ name: 'all', to: ['out'] }],
      sinks: [{ name: 'out', type: 'kafka', brokers: ['kafka:9092'], topic, queue: { events: 50_000_000 } }],
    },
  }
  const { sinks } = parse(configOf(await rendered(values))) as { readonly sinks: readonly object[] }
  assert.deepEqual(sinks, values.config.sinks)
})

test('`on` of a route needs no quotes, although YAML 1.1 reads a boolean', async () => {
  const values = 'config: { routes: [{ name: all, on: [added, deleted], to: [stdout] }] }'
  const { routes } = await loaded(await rendered(values), 'on.yaml')
  assert.deepEqual(
    routes.map(({ on }) => on),
    [['added', 'deleted']],
  )
})

test('a changed configuration starts a new pod, a changed label of the release does not', async () => {
  const templateOf = async (values: Values) =>
    (find(await rendered(values), 'Deployment').spec as { readonly template: object }).template
  const before = await templateOf({})
  assert.notDeepEqual(await templateOf({ config: { cluster: 'other' } }), before)
  assert.deepEqual(await templateOf({ service: { annotations: { a: 'b' } } }), before)
})

test('an image is found by tag, by digest, and in a registry of its own or one for all', async () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const imageOf = async (values: Values) => containerOf(await rendered(values)).image
  assert.equal(await imageOf({}), `deltawire/deltawire:${packageJson.version}`)
  assert.equal(await imageOf({ image: { tag: 'x', repository: 'a/b' } }), 'a/b:x')
  assert.equal(await imageOf({ image: { tag: 'x', digest } }), `deltawire/deltawire@${digest}`)
  assert.equal(await imageOf({ image: { tag: 'x' }, global: { imageRegistry: 'r.io/' } }), 'r.io/deltawire/deltawire:x')
  const both = { image: { tag: 'x', registry: 'own.io' }, global: { imageRegistry: 'r.io' } }
  assert.equal(await imageOf(both), 'own.io/deltawire/deltawire:x')
})

test('an existing ConfigMap is mounted instead, with the rights that the values say', async () => {
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }]
  const namespaceRules = [{ namespace: 'shop', rules }]
  const manifests = await rendered({ existingConfigMap: 'mine', rbac: { rules, namespaceRules } })
  assert.equal(
    manifests.some(({ kind }) => kind === 'ConfigMap'),
    false,
  )
  assert.deepEqual(podOf(manifests).volumes[0], { name: 'config', configMap: { name: 'mine' } })
  // the chart cannot read where the process would listen
  assert.deepEqual(containerOf(manifests).args, [
    'run',
    '--config=/etc/deltawire/deltawire.yaml',
    '--http.listen=:8080',
  ])
  assert.deepEqual(find(manifests, 'ClusterRole').rules, rules)
  assert.deepEqual([find(manifests, 'Role').rules, find(manifests, 'Role').metadata.namespace], [rules, 'shop'])
})

test('OpenShift chooses the ids of the pod', async () => {
  const expected = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }
  const manifests = await rendered({}, '--api-versions', 'security.openshift.io/v1')
  assert.deepEqual(podOf(manifests).securityContext, expected)
  assert.deepEqual((find(manifests, 'Pod').spec as { readonly securityContext: object }).securityContext, expected)
  const unseen = await rendered('podSecurityContext: { runAsUser: null, runAsGroup: null }')
  assert.deepEqual(podOf(unseen).securityContext, expected)
})

test('labels of a user are added and never change how pods are selected', async () => {
  const selector = { 'app.kubernetes.io/name': 'deltawire', 'app.kubernetes.io/instance': 'deltawire' }
  const manifests = await rendered({
    commonLabels: { team: 'audit', 'app.kubernetes.io/name': 'mine' },
    podLabels: { 'azure.workload.identity/use': 'true', 'app.kubernetes.io/instance': 'mine' },
  })
  const { spec, metadata } = find(manifests, 'Deployment')
  const { template } = spec as { readonly template: { readonly metadata: { readonly labels: object } } }
  assert.deepEqual((spec as { readonly selector: object }).selector, { matchLabels: selector })
  assert.deepEqual(template.metadata.labels, { ...selector, team: 'audit', 'azure.workload.identity/use': 'true' })
  assert.equal(metadata.labels?.['app.kubernetes.io/name'], 'deltawire')
  assert.deepEqual((find(manifests, 'Service').spec as { readonly selector: object }).selector, selector)
})

test('names are cut where Kubernetes ends them', async () => {
  const long = 'a'.repeat(80)
  for (const { metadata } of await rendered({ fullnameOverride: long, nameOverride: long })) {
    assert.ok(metadata.name.length <= 63 || /^deltawire-a+$/.test(metadata.name), metadata.name)
    for (const label of Object.values(metadata.labels ?? {})) assert.ok(label.length <= 63, label)
  }
})

/** By what Kubernetes merges lists of objects. */
function mergeKeyOf(item: unknown): string | undefined {
  const { name, mountPath, port, containerPort, protocol } = Object(item) as Readonly<Record<string, unknown>>
  const number = port ?? containerPort
  const key = mountPath ?? (number === undefined ? name : `${number}/${protocol}`)
  return key === undefined ? undefined : String(key)
}

function* flawsOf(value: unknown, path: string): Generator<string> {
  if (Array.isArray(value)) {
    const keys = value.map(mergeKeyOf).filter((key) => key !== undefined)
    if (new Set(keys).size < keys.length) yield `${path}: two of ${keys.join()} are the same`
    for (const [index, item] of value.entries()) yield* flawsOf(item, `${path}[${index}]`)
  } else if (value !== null && typeof value === 'object') {
    if (Object.keys(value).length === 0) yield `${path}: empty`
    for (const [name, member] of Object.entries(value)) yield* flawsOf(member, `${path}.${name}`)
  } else if (value === null) yield `${path}: null`
}

test('no two in a list that Kubernetes merges by key are called the same, and no mapping is empty', async () => {
  assert.deepEqual(
    [...flawsOf({ env: [{ name: 'a' }, { name: 'a' }], annotations: {} }, 'x')],
    ['x.env: two of a,a are the same', 'x.annotations: empty'],
  )
  const all = [...(await rendered()), ...(await rendered(everything))]
  assert.deepEqual(
    all.flatMap((manifest) => [...flawsOf(manifest, manifest.kind)]),
    [],
  )
})

test('every value that is off by default has its effect', async () => {
  const manifests = await rendered(everything)
  const { securityContext: _, volumes, containers, ...pod } = podOf(manifests)
  const { args, env, envFrom, volumeMounts } = containerOf(manifests)
  const { extraVolumes, extraVolumeMounts, image, extraArgs, extraEnv, extraEnvFrom, extraContainers } = everything
  assert.deepEqual(pod, {
    serviceAccountName: 'deltawire',
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    hostUsers: false,
    imagePullSecrets: image.pullSecrets.map((name) => ({ name })),
    initContainers: everything.extraInitContainers,
    priorityClassName: everything.priorityClassName,
    runtimeClassName: everything.runtimeClassName,
    nodeSelector: everything.nodeSelector,
    tolerations: everything.tolerations,
    affinity: everything.affinity,
    topologySpreadConstraints: everything.topologySpreadConstraints,
  })
  assert.deepEqual(args.slice(2), extraArgs)
  assert.deepEqual([env, envFrom], [extraEnv, extraEnvFrom])
  assert.deepEqual([volumes.at(-1), volumeMounts.at(-1)], [extraVolumes[0], extraVolumeMounts[0]])
  assert.deepEqual(containers.slice(1), extraContainers)
  const kinds = manifests.map(({ kind }) => kind)
  for (const kind of ['ServiceMonitor', 'PodMonitor', 'NetworkPolicy', 'LimitRange'])
    assert.ok(kinds.includes(kind), kind)
  assert.deepEqual(find(manifests, 'ServiceAccount').metadata.annotations, everything.serviceAccount.annotations)
})

test('as a part of another chart it is the same, and takes registries and its switch from there', async () => {
  const umbrella = join(folder, 'umbrella')
  cpSync(chart, join(umbrella, 'charts/deltawire'), { recursive: true })
  const dependency = { name: 'deltawire', version: packageJson.version, condition: 'deltawire.enabled' }
  const parent = { apiVersion: 'v2', name: 'umbrella', version: '1.0.0', dependencies: [dependency] }
  writeFileSync(join(umbrella, 'Chart.yaml'), stringify(parent))
  const values = { global: { imageRegistry: 'r.io' }, deltawire: { enabled: true, config: { cluster: 'prod' } } }
  for (const component of helms) {
    const text = await helm(component, ['template', 'deltawire', umbrella, '--namespace', 'deltawire'], values)
    const alone = await render(component, { global: values.global, config: { cluster: 'prod' } })
    assert.deepEqual(manifestsIn(text), alone)
    const off = await helm(component, ['template', 'x', umbrella], { deltawire: { enabled: false } })
    assert.deepEqual(manifestsIn(off), [])
    const misspelled = helm(component, ['template', 'x', umbrella], { deltawire: { credential: {} } })
    await assert.rejects(misspelled, /deltawire:[\s\S]*additional properties 'credential' not allowed/)
  }
})

test('what can be switched off is not there', async () => {
  const manifests = await rendered({
    rbac: { create: false },
    serviceAccount: { create: false, name: 'mine' },
    service: { enabled: false },
  })
  assert.deepEqual(manifests.map(({ kind }) => kind).sort(), ['ConfigMap', 'Deployment'])
  assert.equal(podOf(manifests).serviceAccountName, 'mine')
})

/** `image.tag` for each value; what Kubernetes defines is one. */
function* pathsOf(properties: Readonly<Record<string, JsonSchema>>, prefix = ''): Generator<string> {
  for (const [name, { properties: inner, default: value }] of Object.entries(properties)) {
    const isTiming = /Probe$/.test(name)
    if (inner && value === undefined && !isTiming) yield* pathsOf(inner, `${prefix}${name}.`)
    else yield `${prefix}${name}`
  }
}

test('every value is used by a template, and every value that a template uses is defined', () => {
  const templates = globSync(`${chart}/templates/**/*.{yaml,tpl,txt}`)
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
    .replaceAll('(.Values.global)', '.Values.global')
  const defined = [...pathsOf(chartValues)]
  const used = new Set([...templates.matchAll(/\.Values\.([A-Za-z]+(?:\.[A-Za-z]+)*)/g)].map(([, path = '']) => path))
  const isUnder = (path: string, other: string) => path === other || path.startsWith(`${other}.`)
  assert.deepEqual(
    defined.filter((path) => ![...used].some((other) => isUnder(path, other) || isUnder(other, path))),
    [],
  )
  assert.deepEqual(
    [...used].filter((path) => !defined.some((other) => isUnder(path, other))),
    [],
  )
})

test('the notes name streams and sinks, and warn of what a reader would not expect', async () => {
  const install = ['install', 'deltawire', chart, '--namespace', 'audit', '--dry-run=client']
  const notes = async (values: Values) => {
    const text = await helm(helm4, install, values) // Helm 3 asks a cluster first
    return text.slice(text.indexOf('NOTES:'))
  }
  const usual = await notes({ resources: { limits: { cpu: '1' } } })
  assert.match(usual, /pods: pods in all namespaces/)
  assert.match(usual, /stdout: stdout/)
  assert.match(usual, /kubectl exec deployment\/deltawire --namespace audit -- deltawire status/)
  assert.match(
    usual,
    /helm test deltawire --namespace audit {4}\(if it fails: kubectl logs deltawire-ready --namespace audit\)/,
  )
  assert.match(usual, /State is in memory/)
  assert.match(usual, /In every namespace it may read: pods\./)
  assert.match(usual, /resources\.limits\.cpu is set/)
  assert.doesNotMatch(usual, /may read Secrets|limits\.memory is not set/)

  const unusual = await notes(`
enabled: true
rbac: { allowSecrets: true }
resources: { limits: { memory: null } }
config: { sources: [{ resources: [secrets], namespaces: [shop], allowSecrets: true }], cluster: prod }
`)
  assert.match(unusual, /secrets: secrets in shop/)
  assert.match(unusual, /It may read Secrets/)
  assert.match(unusual, /limits\.memory is not set/)
  assert.doesNotMatch(unusual, /In every namespace/)
})
