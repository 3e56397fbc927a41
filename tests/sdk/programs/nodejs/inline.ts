// Runs the program beside it inline by Pulumi's Automation API: `inline.js PROJECT up|preview|destroy`.
import { LocalWorkspace } from "@pulumi/pulumi/automation";

async function main(project: string, step: string) {
    const stack = await LocalWorkspace.selectStack(
        { stackName: "dev", projectName: "estate", program: async () => require("./index.js") },
        { workDir: project },
    );
    const steps: Record<string, () => Promise<unknown>> = {
        up: () => stack.up({ onOutput: console.log }),
        preview: () => stack.preview({ expectNoChanges: true, onOutput: console.log }),
        destroy: () => stack.destroy({ onOutput: console.log }),
    };
    await steps[step]();
}

main(process.argv[2], process.argv[3]).catch((error) => {
    console.error(String(error));
    process.exit(1);
});
