/** A process for the kill test: gives the node in the directory given one key after another, until it is killed. */
import { rotateKey } from '../../src/key-rotation.ts'

const [directory = ''] = process.argv.slice(2)
process.stdout.write('begins\n')
for (;;) {
  const { to } = await rotateKey(directory)
  process.stdout.write(`${to}\n`)
}
