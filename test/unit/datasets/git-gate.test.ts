import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RepositoryGate, RepositoryGates } from '../../../src/datasets/git/repository-gate.ts'

function step() {
  let go: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    go = resolve
  })
  return { passed, go }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('writers pass side by side, who removes passes alone, and newcomers wait for him', async () => {
  const gate = new RepositoryGate()
  const said: string[] = []
  const [one, two, alone] = [step(), step(), step()]
  const writing = [one, two].map(({ passed }, i) =>
    gate.together(async () => {
      said.push(`writer ${i} in`)
      await passed
    }),
  )
  const removing = gate.alone(async () => {
    said.push('alone in')
    await alone.passed
    said.push('alone out')
  })
  const late = gate.together(async () => {
    said.push('late in')
  })
  const second = gate.alone(async () => {
    said.push('second in')
  })
  await turn()
  assert.deepEqual(said, ['writer 0 in', 'writer 1 in'])
  one.go()
  await turn()
  assert.equal(said.length, 2)
  two.go()
  await turn()
  assert.deepEqual(said.slice(2), ['alone in'])
  alone.go()
  await Promise.all([...writing, removing, late, second])
  assert.equal(said[3], 'alone out')
  assert.deepEqual(said.slice(4).sort(), ['late in', 'second in'])
})

test('who fails inside leaves the gate open', async () => {
  const gate = new RepositoryGate()
  const fail = async () => {
    throw new Error('full disk')
  }
  await assert.rejects(gate.together(fail), /full disk/)
  await assert.rejects(gate.alone(fail), /full disk/)
  await gate.together(async () => gate.alone.length)
  await gate.alone(async () => undefined)
})

test('a loan ends once, however often it is given back', () => {
  const gates = new RepositoryGates()
  const [gate, same] = [gates.of('/a'), gates.of('/a')]
  assert.equal(gate, same)
  const [first, second] = [gate.lend(), gate.lend()]
  first()
  first()
  assert.equal(gate.lends, true)
  second()
  assert.equal(gate.lends, false)
})
