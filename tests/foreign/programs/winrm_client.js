// What winrm-client does on a machine, as one line of JSON: what a command wrote, or the error.
// Arguments: the folder of its modules, host, port, `https` or `http`, user, password, command.
const [modules, host, port, scheme, user, password, command] = process.argv.slice(2);
const { runCommand } = require(`${modules}/winrm-client`);

// It keeps the connection of a refused request open, which would keep this process alive.
const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit());

runCommand(command, host, user, password, Number(port), false, scheme === 'https').then(
  (output) => tell({ output }),
  (error) => tell({ error: error.message }),
);
