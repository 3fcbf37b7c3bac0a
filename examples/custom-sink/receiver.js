/** A receiver for line-sink.js: prints each event, and says that it has it. `node receiver.js [PORT]` */
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

const [port = 7070] = process.argv.slice(2)
const server = createServer((socket) => {
  socket.on('error', () => {}) // a sender that goes away is no matter
  createInterface({ input: socket }).on('line', (line) => {
    if (!line.startsWith('token ')) console.log(line)
    socket.write('ok\n')
  })
})
server.listen(Number(port), '127.0.0.1', () => console.error(`listening on 127.0.0.1:${server.address().port}`))
