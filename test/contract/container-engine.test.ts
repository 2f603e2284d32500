import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { isNodeError } from '../../src/base/errors.ts'
import { DockerEngine } from '../../src/execution/engines/docker-engine.ts'
import { engineContract, specOf } from '../support/engine-contract.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

const run = promisify(execFile)

before(() => testImage())

engineContract('a Docker engine on this machine', async () => ({
  engine: new DockerEngine({ socketPath: '/var/run/docker.sock' }),
  docker: async (...words) => (await run('docker', words)).stdout,
}))

test('an engine that is not running is told of with a way out', async () => {
  const absent = new DockerEngine({ socketPath: '/tmp/mao-there-is-no.sock' })
  const signal = AbortSignal.timeout(10_000)
  for (const call of [
    () => absent.ping(),
    () => absent.image(BUSYBOX, signal),
    () => absent.create(specOf({ id: 'x', digest: 'x', user: '' }, null)),
    () => absent.find('a', 'b'),
    () => absent.wait('x', signal),
  ]) {
    await assert.rejects(call(), (error: Error) => {
      return (
        isNodeError(error, 'ENGINE_UNAVAILABLE') && /start Docker .*docker\.socketPath/.test(error.message)
      )
    })
  }
})
