import { testSink } from '../contract.ts'
import type { SinkHarness, SinkTarget } from '../contract-target.ts'
import { HttpTarget } from './http-target.ts'
import { sink } from './index.ts'

function harness(mode: 'structured' | 'binary'): SinkHarness<typeof sink.schema> {
  return {
    definition: sink,
    recallable: true,
    manyEvents: 10_000,
    answers: [
      ['301 location: http://127.0.0.1/', 'rejected'],
      ['400', 'rejected'],
      ['401', 'unauthorized'],
      ['403', 'unauthorized'],
      ['404', 'unavailable'],
      ['405', 'unavailable'],
      ['408', 'failed'],
      ['409', 'conflict'],
      ['410', 'gone'],
      ['413', 'too-large'],
      ['415', 'unsupported'],
      ['422', 'rejected'],
      ['425', 'failed'],
      ['429', 'throttled'],
      ['429 retry-after: 0', 'throttled', 0],
      ['500', 'failed'],
      ['502', 'unavailable'],
      ['503', 'unavailable'],
      ['504', 'unavailable'],
    ],
    async start(): Promise<SinkTarget> {
      const target = await HttpTarget.start()
      const config = {
        url: `http://127.0.0.1:${target.port}/events`,
        mode,
        insecureHttp: true,
        auth: { bearer: { env: 'TOKEN' } },
        network: { allow: ['127.0.0.0/8'] },
      }
      return Object.assign(target, { config })
    },
  }
}

testSink('webhook, structured', harness('structured'))
testSink('webhook, binary', harness('binary'))
