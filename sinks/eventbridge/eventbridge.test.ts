import assert from 'node:assert/strict'
import { test } from 'node:test'
import { awsEnvironment } from '../../test/testbed/moto.ts'
import { event, failureOf, type Made, makeSink, never, numbered, validate } from '../contract-kit.ts'
import { sink as definition } from './index.ts'
import { FaultServer, type FaultServerOptions } from './testing/fault-server.ts'
import { failure } from './testing/strict-service.ts'

Object.assign(process.env, awsEnvironment)

async function start(options: FaultServerOptions = {}, config: object = {}) {
  const server = await FaultServer.start(options)
  const made = make(server, config)
  return {
    server,
    ...made,
    async [Symbol.asyncDispose]() {
      await made.sink[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

function make(server: FaultServer, config: object = {}): Made {
  const own = { bus: 'k8s', region: 'eu-west-1', endpoint: server.url, ...config }
  return makeSink(definition, Object.assign(server, { config: own }), {})
}

test('a bus that does not exist is told by connect, with the way out', async () => {
  await using made = await start({}, { bus: 'other' })
  await assert.rejects(made.sink.connect(never()), {
    code: 'unavailable',
    message: 'event bus other does not exist in eu-west-1: create it, or correct bus or region in the configuration',
  })
})

test('connect succeeds where the credentials may put events and not describe the bus', async () => {
  const denied = (name: string) =>
    start({ service: () => failure(400, name, 'User: arn:aws:iam::123456789012:user/x is not authorized to perform') })
  await using allowed = await denied('AccessDeniedException')
  await allowed.sink.connect(never())
  await using unknown = await denied('UnrecognizedClientException')
  await assert.rejects(unknown.sink.connect(never()), { code: 'unauthorized' })
})

test('a bus may be named by its ARN', async () => {
  await using made = await start({}, { bus: 'arn:aws:events:eu-west-1:123456789012:event-bus/k8s' })
  await made.sink.connect(never())
  assert.deepEqual(await made.sink.deliver(numbered(3), { signal: never() }), [])
  assert.equal(made.server.received().length, 3)
})

test('what goes out has its place, its time to the millisecond and its signature', async () => {
  await using made = await start({}, { source: 'com.example' })
  await made.sink.deliver([event({ id: '1', time: '2026-01-01T00:00:00.123456Z' })], { signal: never() })
  const [{ EventBusName, Source, DetailType, Time, Resources } = {}] = made.server.entries
  assert.deepEqual(
    { EventBusName, Source, DetailType, Time, Resources },
    {
      EventBusName: 'k8s',
      Source: 'com.example',
      DetailType: 'io.deltawire.object.updated.v1',
      Time: 1767225600.123,
      Resources: ['kubernetes://test/api/v1/pods/shop/web'],
    },
  )
  assert.match(made.server.requests[0]?.headers.authorization ?? '', /Credential=AKIATEST\/\d{8}\/eu-west-1\/events\//)
})

test('one delivery is one request: the worker retries, and sees throttling at once', async () => {
  await using made = await start()
  for (const [index, refusal] of [
    '400 ThrottlingException',
    '500 InternalException',
    '503 ServiceUnavailable',
  ].entries()) {
    made.server.fail(refusal)
    await failureOf(made.sink, event({ id: '1' }))
    assert.equal(made.server.attempts(), index + 1)
  }
  assert.deepEqual(made.server.received(), [])
})

test('of a batch exactly what failed comes back, by index and with its code', async () => {
  await using made = await start()
  const codes = new Map([
    ['1', 'InternalFailure'],
    ['4', 'ThrottlingException'],
    ['9', 'MalformedDetail'],
  ])
  made.server.entryFault = ({ Detail = '' }) => codes.get(JSON.parse(Detail).id)
  const failures = await made.sink.deliver(numbered(10), { signal: never() })
  assert.deepEqual(
    failures.map(({ index, error }) => [index, error.code]),
    [
      [1, 'failed'],
      [4, 'throttled'],
      [9, 'rejected'],
    ],
  )
  assert.deepEqual(
    made.server.received().map(({ attributes }) => attributes.id),
    ['0', '2', '3', '5', '6', '7', '8'],
  )
})

test('an event without an EventId is not delivered, whatever the status says', async () => {
  await using made = await start()
  const codes = async (body: string, status = 200) => {
    made.server.raw(status, body)
    const failures = await made.sink.deliver(numbered(2), { signal: never() })
    return failures.map(({ index, error }) => [index, error.code])
  }
  assert.deepEqual(await codes('{}'), [
    [0, 'failed'],
    [1, 'failed'],
  ])
  assert.deepEqual(await codes('{"FailedEntryCount":0,"Entries":[{"EventId":"a"}]}'), [[1, 'failed']])
  assert.deepEqual(await codes('{"FailedEntryCount":0,"Entries":[{"EventId":"a"},{}]}'), [[1, 'failed']])
})

test('an answer that is none, of whatever status, is that of a sink that is out of order', async () => {
  await using made = await start()
  for (const status of [200, 500, 502, 503]) {
    for (const body of ['<html>no JSON</html>', '', '[]x']) {
      made.server.raw(status, body)
      const error = await failureOf(made.sink, event({ id: '1' }))
      assert.ok(
        body === '' && status === 200 ? error.code === 'failed' : error.code === 'unavailable',
        `${status} ${body} ${error.message}`,
      )
      assert.ok(!error.message.includes('html'), error.message)
    }
  }
})

test('a request above requestBytes is not sent', async () => {
  await using made = await start({}, { requestBytes: '256KiB' })
  const { sink, limits, server } = made
  const large = (id: string, bytes: number) => event({ id, data: `"${'x'.repeat(bytes)}"` })
  const overhead = limits.sizeOf(large('1', 0))
  const half = 2 ** 17 - overhead
  assert.deepEqual(await sink.deliver([large('1', half), large('2', half)], { signal: never() }), [])
  await assert.rejects(sink.deliver([large('1', half), large('2', half + 1)], { signal: never() }), {
    code: 'too-large',
  })
  assert.deepEqual([server.attempts(), server.requests[0]?.bytes], [1, 2 ** 18])
})

test('as many requests are under way at a time as the worker wants', async () => {
  await using made = await start()
  made.server.stall()
  const deliveries = numbered(200).map((one) => made.sink.deliver([one], { signal: never() }))
  await made.server.until(() => made.server.attempts() === 200)
  made.server.flow()
  assert.deepEqual((await Promise.all(deliveries)).flat(), [])
})

test('a request that has timed out of its connection cannot land later: the connection is closed', async () => {
  await using made = await start()
  made.server.stall()
  const controller = new AbortController()
  const delivery = made.sink.deliver([event({ id: '1' })], { signal: controller.signal })
  await made.server.until(() => made.server.attempts() === 1)
  const why = new Error('enough')
  controller.abort(why)
  await assert.rejects(delivery, why)
  await made.server.until(() => made.server.connections() === 0)
})

test('what cannot work is refused before anything is sent', async () => {
  await using server = await FaultServer.start()
  const made = (config: object) => () => make(server, config)
  assert.throws(made({ requestBytes: '200kB' }), /^Error: requestBytes: .*256KiB to 1MiB/)
  assert.throws(made({ requestBytes: '2MiB' }), /^Error: requestBytes: /)
  assert.throws(made({ source: 'aws.kubernetes' }), /^Error: source: .*belong to AWS/)
  assert.throws(made({ endpoint: 'localhost:4566' }), /^Error: endpoint: not an absolute URL/)
  assert.throws(made({ endpoint: 'https://name:canary@example.com' }), (error) => {
    assert.ok(error instanceof Error)
    assert.match(error.message, /^endpoint: holds a user name or password/)
    assert.ok(!error.message.includes('canary'))
    return true
  })
  assert.ok(!validate(definition.schema, { bus: 'k8s', region: 'Frankfurt' }))
  assert.ok(!validate(definition.schema, { region: 'eu-west-1' }))
  for (const region of ['eu-west-1', 'us-gov-east-1', 'cn-north-1', 'eusc-de-east-1']) {
    assert.ok(validate(definition.schema, { bus: 'k8s', region }), region)
  }
})

test('events that are readable on the way are warned of', () => {
  const warnings = (endpoint: string) =>
    definition.warnings?.({ bus: 'k8s', source: 'ce', requestBytes: '1MB', endpoint })
  assert.deepEqual(warnings('http://emulator.example.com:4566'), [
    'endpoint: http is readable for everybody on the way; use https',
  ])
  for (const fine of [
    'http://127.0.0.1:4566',
    'http://localhost:4566',
    'http://[::1]:1',
    'https://emulator.example.com',
  ]) {
    assert.deepEqual(warnings(fine), [])
  }
})
