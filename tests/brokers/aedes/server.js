// Aedes on 127.0.0.1: `node server.js FOLDER PORT`, where FOLDER has Aedes in its node_modules.
//
// Whoever comes needs one of the passwords below. It writes `running` when it listens.
'use strict'

const net = require('node:net')

const [folder, port] = process.argv.slice(2)
const passwords = { alice: 'right', mqhook: 'secret' }

async function main () {
  const { Aedes } = await import(require.resolve('aedes', { paths: [folder] }))
  const broker = await Aedes.createBroker()
  broker.authenticate = (client, username, password, done) => {
    done(null, username in passwords && passwords[username] === String(password))
  }
  // A port that is taken ends the process, which the tests take for a reason to try another one.
  const server = net.createServer(broker.handle)
  server.listen(Number(port), '127.0.0.1', () => console.error('running'))
}

main()
