/**
 * What this project relies on in an API server, as small checks over plain HTTP. They run on the simulator and on a real
 * kube-apiserver; where the two differ, the real one is right. Start reading at any of the lists in `contract/`.
 */
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Check } from './contract/check.ts'
import { ApiClient, type ContractServer } from './contract/client.ts'
import { customResourceChecks } from './contract/custom-resources.ts'
import { discoveryChecks } from './contract/discovery.ts'
import { historyChecks } from './contract/history.ts'
import { listChecks } from './contract/lists.ts'
import { unstreamedListChecks } from './contract/unstreamed-lists.ts'
import { watchChecks } from './contract/watches.ts'
import { writeChecks } from './contract/writes.ts'

export type { ContractServer } from './contract/client.ts'

/** Each plays in a namespace of its own: they run side by side. */
const independent: readonly Check[] = [
  ...discoveryChecks,
  ...writeChecks,
  ...listChecks,
  ...watchChecks,
  ...customResourceChecks,
]

/** Declares one test per check. `start` is called once; the server is disposed after the last. */
export function apiServerContract(serverName: string, start: () => Promise<ContractServer>): void {
  declareChecks(serverName, start, { independent, disturbing: historyChecks })
}

/** The same for what a server answers whose feature gate WatchList is off. */
export function unstreamedListsContract(serverName: string, start: () => Promise<ContractServer>): void {
  declareChecks(`${serverName} without WatchList`, start, { independent: unstreamedListChecks, disturbing: [] })
}

interface Checks {
  readonly independent: readonly Check[]
  readonly disturbing: readonly Check[]
}

function declareChecks(
  serverName: string,
  start: () => Promise<ContractServer>,
  { independent, disturbing }: Checks,
): void {
  const checks = [...independent, ...disturbing]
  describe(`the API server contract on the ${serverName}`, () => {
    const run = randomBytes(3).toString('hex')
    let server: ContractServer
    let api: ApiClient
    let passed = 0
    before(async () => {
      server = await start()
      api = new ApiClient(server)
    })
    after(async () => {
      await api?.[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
      console.log(`contract: ${passed} of ${checks.length} checks on ${serverName}`)
    })
    describe('checks that disturb nobody', { concurrency: 8 }, () => {
      for (const check of independent) declare(check)
    })
    describe('checks that make the server forget its history', { concurrency: 1 }, () => {
      for (const check of disturbing) declare(check)
    })

    function declare({ name, run: prove }: Check): void {
      test(name, async () => {
        const namespace = `contract-${run}-${checks.findIndex((check) => check.name === name)}`
        const created = await api.post('/api/v1/namespaces', { metadata: { name: namespace } })
        if (created.status !== 201) throw new Error(`no namespace for the check: ${created.text}`)
        await prove({
          api,
          server,
          namespace,
          configMaps: `/api/v1/namespaces/${namespace}/configmaps`,
          unique: namespace.replace('contract-', 'u'),
        })
        passed++
      })
    }
  })
}
