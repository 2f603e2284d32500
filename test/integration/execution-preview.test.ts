import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineStep } from '../../src/execution/catalogue/pipeline.ts'
import type { SubmitOptions } from '../../src/execution/queue/submissions.ts'
import { openExecutionRoom } from '../support/execution-room.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { BUSYBOX, testImage } from '../support/test-images.ts'

test('what a run is refused for at once, a dry run tells before', async (t) => {
  await testImage()
  const { execution, datasets, stop } = await openExecutionRoom(await temporaryDirectory(t))
  t.after(stop)
  for (const name of ['out', 'empty']) await datasets.add(name)
  await execution.addTool('shell', { author: 't', image: BUSYBOX })
  const pipeline = async (name: string, inputs: PipelineStep['inputs']) => {
    const step = { name, tool: 'shell', cmd: ['true'], output_dataset: 'out', inputs }
    await execution.addPipeline(name, { steps: [step] })
  }
  const told = async (name: string, options: SubmitOptions = {}) => {
    const { problems } = await execution.previews.preview(name, options)
    return problems.map(({ code }) => code)
  }
  for (const [name, inputs, code] of [
    ['no-run', [{ run: 'nope' }], 'RUN_NOT_FOUND'],
    ['no-truth', [{ dataset: 'empty' }], 'NOT_FOUND'],
    ['private', [{ url: 'http://127.0.0.1/x' }], 'FORBIDDEN'],
    ['private-6', [{ url: 'http://[::1]/x' }], 'FORBIDDEN'],
  ] as const) {
    await pipeline(name, [...inputs])
    assert.deepEqual(await told(name), [code], name)
    const { id } = await execution.submit(name)
    const run = await execution.finished(id, AbortSignal.timeout(20_000))
    assert.deepEqual([run.state, run.code], ['rejected', code], run.reason)
  }
  await pipeline('fine', [{ text: 'hello' }])
  await execution.submit('fine', { requestKey: 'k' })
  assert.deepEqual(await told('fine', { requestKey: 'k' }), [])
  assert.deepEqual(await told('fine', { requestKey: 'k', priority: 5 }), ['CONFLICT'])
})
