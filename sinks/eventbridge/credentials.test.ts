/** Where the SDK finds credentials and region: what pods have, and what happens when it is replaced or not there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, beforeEach, test } from 'node:test'
import { event, failureOf, makeSink, never } from '../contract-kit.ts'
import { sink as definition } from './index.ts'
import { FaultServer } from './testing/fault-server.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deltawire-credentials-'))
})
after(() => rm(folder, { recursive: true }))

/** The SDK reads the process's own environment; nothing that the machine has is looked at. */
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  environment({
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: join(folder, 'no-config'),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'no-credentials'),
  })
})

const environment = (variables: Readonly<Record<string, string>>) => void Object.assign(process.env, variables)

async function start(config: object = { region: 'eu-west-1' }) {
  const server = await FaultServer.start()
  const { sink } = makeSink(
    definition,
    Object.assign(server, { config: { bus: 'k8s', endpoint: server.url, ...config } }),
    {},
  )
  const deliver = () => sink.deliver([event({ id: '1' })], { signal: never() })
  const signedBy = () =>
    server.requests.map(({ headers }) =>
      /Credential=(\w+)\/\d+\/([\w-]+)\//.exec(headers.authorization ?? '')?.slice(1),
    )
  const end = async () => {
    await sink[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  }
  return { server, sink, deliver, signedBy, [Symbol.asyncDispose]: end }
}

async function listen(handler: RequestListener) {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const end = async () => {
    server.closeAllConnections()
    await once(server.close(), 'close')
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, [Symbol.asyncDispose]: end }
}

test('without credentials the error says where to give them', async () => {
  await using made = await start()
  const expected = { code: 'unauthorized', message: /no AWS credentials were found: give the pod a role \(IRSA/ }
  await assert.rejects(made.sink.connect(never()), expected)
  await assert.rejects(made.deliver(), expected)
  assert.equal(made.server.attempts(), 0)
})

test('the region is that of the configuration, or of the environment; without one the error says so', async () => {
  environment({ AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'secret' })
  await using lost = await start({})
  await assert.rejects(lost.sink.connect(never()), {
    code: 'unavailable',
    message: /set region, or the variable AWS_REGION/,
  })
  environment({ AWS_REGION: 'us-east-2' })
  await using found = await start({})
  await found.deliver()
  await using configured = await start()
  await configured.deliver()
  assert.deepEqual(
    [...found.signedBy(), ...configured.signedBy()],
    [
      ['AKIAENV', 'us-east-2'],
      ['AKIAENV', 'eu-west-1'],
    ],
  )
})

test('S10 a file of credentials that was replaced is read again once the old ones are refused', async () => {
  const file = join(folder, 'credentials')
  const write = (key: string) =>
    writeFileSync(file, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = secret\n`)
  environment({ AWS_SHARED_CREDENTIALS_FILE: file })
  await using made = await start()
  for (const refusal of ['403 UnrecognizedClientException', '400 ExpiredTokenException']) {
    write('AKIAOLD')
    made.server.fail(refusal)
    await failureOf(made.sink, event({ id: '1' }))
    await made.deliver()
    write('AKIANEW')
    await made.deliver()
    made.server.fail(refusal)
    await failureOf(made.sink, event({ id: '1' }))
    await made.deliver()
  }
  const keys = made.signedBy().map(([key] = []) => key)
  assert.deepEqual(keys, ['AKIAOLD', 'AKIAOLD', 'AKIANEW', 'AKIAOLD', 'AKIAOLD', 'AKIANEW'])
})

test('a role for the service account (IRSA): the token of the pod is exchanged, and read anew each time', async () => {
  const tokens: (string | null)[] = []
  await using sts = await listen(async (request, response) => {
    const query = new URLSearchParams(await text(request))
    tokens.push(query.get('WebIdentityToken'))
    const credentials = `<AccessKeyId>ASIAROLE${tokens.length}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>`
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${credentials}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>`
    response.setHeader('content-type', 'text/xml')
    response.end(`<AssumeRoleWithWebIdentityResponse>${result}</AssumeRoleWithWebIdentityResponse>`)
  })
  const file = join(folder, 'token')
  writeFileSync(file, 'first')
  environment({
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/deltawire',
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ENDPOINT_URL_STS: sts.url,
  })
  await using made = await start()
  await made.deliver()
  await made.deliver()
  writeFileSync(file, 'second')
  made.server.fail('403 InvalidClientTokenId')
  await failureOf(made.sink, event({ id: '1' }))
  await made.deliver()
  assert.deepEqual(
    made.signedBy().map(([key] = []) => key),
    ['ASIAROLE1', 'ASIAROLE1', 'ASIAROLE2'],
  )
  assert.deepEqual(tokens, ['first', 'second'])
})

test('EKS Pod Identity: the agent of the node is asked with the token of the pod', async () => {
  const asked: (string | undefined)[] = []
  await using agent = await listen((request, response) => {
    asked.push(request.headers.authorization)
    const credentials = { AccessKeyId: 'ASIAPOD', SecretAccessKey: 's', Token: 't', Expiration: '2099-01-01T00:00:00Z' }
    response.end(JSON.stringify(credentials))
  })
  const file = join(folder, 'pod-token')
  writeFileSync(file, 'token-of-the-pod')
  environment({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
  })
  await using made = await start()
  await made.deliver()
  await made.deliver()
  assert.deepEqual(made.signedBy(), [
    ['ASIAPOD', 'eu-west-1'],
    ['ASIAPOD', 'eu-west-1'],
  ])
  assert.deepEqual(asked, ['token-of-the-pod'])
})

test('S11 an attempt that is aborted while credentials are looked for settles, and is not sent once they are found', async () => {
  const asked = Promise.withResolvers<() => void>()
  await using agent = await listen((_request, response) =>
    asked.resolve(() =>
      response.end(
        JSON.stringify({
          AccessKeyId: 'ASIAPOD',
          SecretAccessKey: 's',
          Token: 't',
          Expiration: '2099-01-01T00:00:00Z',
        }),
      ),
    ),
  )
  environment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials` })
  await using made = await start()
  const controller = new AbortController()
  const delivery = made.sink.deliver([event({ id: 'aborted' })], { signal: controller.signal })
  const answer = await asked.promise
  controller.abort(new Error('enough'))
  await assert.rejects(delivery, /enough/)
  answer()
  await made.deliver()
  assert.deepEqual(
    made.server.received().map(({ attributes }) => attributes.id),
    ['1'],
  )
  assert.equal(made.server.attempts(), 1)
})
