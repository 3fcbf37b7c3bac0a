import { Simulator, type SimulatorOptions } from '../src/simulator/index.ts'
import { apiServerContract, type ContractServer, unstreamedListsContract } from './api-server-contract.ts'

async function start(options: SimulatorOptions = {}): Promise<ContractServer> {
  const simulator = await new Simulator({
    ...options,
    // The first of them is the last that fits a double: who reads versions as numbers is found out
    firstRevision: 2n ** 53n - 1n,
    users: {
      admin: { name: 'admin', allows: () => true },
      limited: { name: 'limited', allows: () => false },
    },
  }).start()
  return {
    url: simulator.url,
    token: 'admin',
    limitedToken: 'limited',
    forget: async () => simulator.compact(),
    [Symbol.asyncDispose]: () => simulator[Symbol.asyncDispose](),
  }
}

apiServerContract('simulator', () => start())
unstreamedListsContract('simulator', () => start({ streamedLists: 'refused' }))
