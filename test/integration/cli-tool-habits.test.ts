import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { startTestApi } from '../support/api.ts'
import { maoctlHere } from '../support/maoctl.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

before(() => testImage())

test("the predecessor's verbs for a tool on its own: get, run, schedule, list-scheduled, stop", async (t) => {
  const { node } = await startTestApi(t, 'alice')
  await node.createFederation({ name: 'lab' })
  const type = async (...words: string[]) => {
    const ended = await maoctlHere(['--data', node.config.dataDirectory, ...words])
    return { ...ended, said: ended.stdout + ended.stderr }
  }
  await type('dataset', 'add', '--name', 'results')
  await type('tool', 'add', 'count', '--image', BUSYBOX, '--data-repo', 'results')
  await type('tool', 'add', 'lost', '--image', BUSYBOX)
  assert.match((await type('tool', 'get', 'count')).stdout, /results/)

  const ran = await type('tool', 'run', 'count', '--', 'sh', '-c', 'echo 1 > data/one.txt')
  assert.equal(ran.exit, 0, ran.said)
  assert.match(ran.stdout, /count +count +succeeded +0 +results count-alice/)
  // Asked for again as it stands, it is the same pipeline; asked otherwise, it is changed.
  const failed = await type('tool', 'run', 'count', '--', 'false')
  assert.equal(failed.exit, 8, failed.said)
  assert.match((await type('pipeline', 'get', 'tool-count')).stdout, /false/)

  const nowhere = await type('tool', 'run', 'lost')
  assert.equal(nowhere.exit, 2)
  assert.match(nowhere.stderr, /names no dataset for its results; say which with --output/)

  const scheduled = await type('tool', 'schedule', 'count', '--cron', '0 3 * * *')
  assert.match(scheduled.stdout, /^count runs next at \d{4}-\d\d-\d\d 03:00:00Z/, scheduled.said)
  assert.match((await type('tool', 'list-scheduled')).stdout, /count +0 3 \* \* \*/)
  assert.equal((await type('tool', 'stop', 'count')).exit, 0)
  assert.doesNotMatch((await type('tool', 'list-scheduled')).stdout, /count/)
})
