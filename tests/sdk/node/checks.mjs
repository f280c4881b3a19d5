// What the scripts here share: their settings come in the environment, a failed check ends them with exit 1.

export function setting(name) {
    const value = process.env[name];
    if (!value) fail(`the variable ${name} is not set`);
    return value;
}

export function fail(what) {
    console.log(`FAILED: ${what}`);
    process.exit(1);
}

// Prints `what`, and ends the script where it does not hold.
export function check(holds, what) {
    if (!holds) fail(what);
    console.log(`ok: ${what}`);
}

// Whether two values are written alike.
export function same(one, other) {
    return JSON.stringify(one) === JSON.stringify(other);
}

// The error of class `kind` that `call` must end with.
export async function raises(kind, call) {
    let answer;
    try {
        answer = await call();
    } catch (error) {
        if (error instanceof kind) return error;
        fail(`${kind.name} was due, ${error?.name} came: ${error}`);
    }
    fail(`${kind.name} was due, an answer came: ${JSON.stringify(answer)}`);
}

export const SAID = 'grüße an 世界 with one 🦀';
