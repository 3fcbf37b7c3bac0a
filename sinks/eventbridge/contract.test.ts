import { after } from 'node:test'
import { awsEnvironment, type Moto, startMoto } from '../../test/testbed/moto.ts'
import { testSink } from '../contract.ts'
import type { SinkTarget } from '../contract-target.ts'
import { sink } from './index.ts'
import { FaultServer } from './testing/fault-server.ts'
import { forwardTo } from './testing/forward.ts'

Object.assign(process.env, awsEnvironment)

/** One process for all rows: each has a server before it, which keeps what the row sent. */
let moto: Promise<Moto> | undefined
after(async () => await (await moto)?.[Symbol.asyncDispose]())

async function startTestMoto(): Promise<Moto> {
  const started = await startMoto()
  await started.createBus('k8s')
  return started
}

function target(server: FaultServer): SinkTarget {
  return Object.assign(server, { config: { bus: 'k8s', region: 'eu-west-1', endpoint: server.url } })
}

testSink('eventbridge, moto', {
  definition: sink,
  recallable: true,
  manyEvents: 2_000,
  async start() {
    moto ??= startTestMoto()
    return target(await FaultServer.start({ service: forwardTo((await moto).url) }))
  },
})

testSink('eventbridge, fault server', {
  definition: sink,
  recallable: true,
  manyEvents: 20_000,
  answers: [
    ['entry InternalFailure', 'failed'],
    ['entry InternalException', 'failed'],
    ['entry ThrottlingException', 'throttled'],
    ['entry InvalidArgument', 'rejected'],
    ['entry MalformedDetail', 'rejected'],
    ['entry RedactionFailure', 'rejected'],
    ['entry AccessDeniedException', 'unauthorized'],
    ['entry InvalidAccountIdException', 'unauthorized'],
    ['entry NotAuthorizedForSourceException', 'unauthorized'],
    ['entry NotAuthorizedForDetailTypeException', 'unauthorized'],
    ['entry SomethingNew', 'failed'],
    ['400 ThrottlingException', 'throttled'],
    ['429 TooManyRequestsException', 'throttled'],
    ['400 AccessDeniedException', 'unauthorized'],
    ['403 UnrecognizedClientException', 'unauthorized'],
    ['400 ExpiredTokenException', 'unavailable'],
    ['403 RequestTimeTooSkewed', 'unavailable'],
    ['400 ResourceNotFoundException', 'unavailable'],
    ['400 ValidationException', 'rejected'],
    ['413 RequestEntityTooLargeException', 'too-large'],
    ['400 SerializationException', 'malformed'],
    ['500 InternalException', 'unavailable'],
    ['503 ServiceUnavailable', 'unavailable'],
    ['502', 'unavailable'],
  ],
  async start() {
    return target(await FaultServer.start())
  },
})
