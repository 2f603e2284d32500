import { readFile } from 'node:fs/promises'
import { readDemoReport } from '../test/support/demo-report.ts'

const [path = ''] = process.argv.slice(2)
const { nodes, certificate, seconds } = readDemoReport(await readFile(path, 'utf8'))
console.log(`demo: ground truth ${nodes[0]?.truth}, signed by ${certificate.signers.join(', ')}, in ${seconds} s`)
