//! `check`: every error of a pipeline file at once.

use serde_json::json;

use super::args::{CheckArgs, variable};
use super::exit;
use super::output::Output;
use crate::answer::wire::Line;
use crate::pipeline;

pub(super) fn run(args: &CheckArgs, output: &Output) -> anyhow::Result<u8> {
    let cwd = std::env::current_dir()?;
    let load = if args.cluster.url()?.is_some() { pipeline::load_for_cluster } else { pipeline::load };
    let mut code = exit::OK;
    for name in args.pipelines.iter().chain(&args.named) {
        let path = match pipeline::find(name, &cwd) {
            Ok(path) => path,
            Err(error) => {
                output.complain(&error.render(output.colors_errors(), output.width()));
                if output.json {
                    output.event(&Line::Error { message: error.to_string().into(), kind: "invalid", hint: error.hint.clone() });
                }
                code = exit::FAILED;
                continue;
            }
        };
        let (diagnostics, valid) = match load(&path, &variable) {
            Ok(loaded) => (loaded.warnings, true),
            Err(errors) => (errors.iter().cloned().collect(), false),
        };
        if output.json {
            for diagnostic in &diagnostics {
                let mut event = json!({"type": "diagnostic"});
                if let (Some(event), serde_json::Value::Object(fields)) = (event.as_object_mut(), diagnostic.to_json()) {
                    event.extend(fields);
                }
                output.event(&event);
            }
            output.event(&json!({"type": "checked", "file": path.display().to_string(), "valid": valid}));
        } else {
            for diagnostic in &diagnostics {
                output.complain(&diagnostic.render(output.colors_errors(), output.width()));
            }
            if valid {
                output.print(&format!("{}: ok\n", path.display()));
            }
        }
        if !valid {
            code = code.max(exit::SOME_FAILED);
        }
    }
    Ok(code)
}
