use super::{AuthoringError, Fault, Language, Project};
use crate::handlers::{
    BUILT_IN, Capability, Limit, LoadError, Manifest, Plugin, Runtime, Surface, Terms,
};

/// What a component that hosts will take is.
pub struct Checked {
    /// What operators read.
    pub manifest: Manifest,
    /// Its size.
    pub bytes: usize,
    /// The capabilities that it imports.
    pub imports: Vec<Capability>,
    /// What its author may want to know: each with the line of the project's file, where there is one.
    pub notes: Vec<String>,
}

/// Holds a component against its manifest, as a host would that grants all it declares and the limits it wishes; and against the
/// project that it was built from. It is compiled and linked, and nothing of it runs.
///
/// # Errors
///
/// When no host would load it, or it was built from an older `backchannel.toml`. With a project, the error names the line.
pub fn check(
    runtime: &Runtime,
    name: &str,
    component: &[u8],
    project: Option<&Project>,
) -> Result<Checked, AuthoringError> {
    let refused = |error: LoadError| refused(name, &error, project);
    if let (Some(project), Ok(manifest)) = (project, Manifest::read(component))
        && project.manifest(manifest.contract.clone()) != manifest
    {
        return Err(AuthoringError::new(
            Fault::Component,
            format!("{name} is not this project's"),
            "the manifest inside is not what backchannel.toml says",
            "build it again: backchannel build",
        ));
    }
    let terms = Terms::as_asked(component).map_err(refused)?;
    let manifest = Manifest::read(component).map_err(refused)?;
    let limits = manifest.wanted_limits();
    let surface = Surface::read(component, &limits).map_err(refused)?;
    Plugin::load(runtime, component, terms).map_err(refused)?;
    Ok(Checked {
        bytes: component.len(),
        imports: surface.asks_for().into_iter().collect(),
        notes: notes(&surface, project),
        manifest,
    })
}

fn notes(surface: &Surface, project: Option<&Project>) -> Vec<String> {
    let manifest = surface.manifest();
    let mut notes = Vec::new();
    for capability in surface.unused() {
        let name = capability.name();
        // Effects need some of them, and no import tells.
        let note = format!(
            "`{name}` is declared and nothing of it is called: leave it out, unless one of its effects is returned"
        );
        notes.push(match project {
            Some(project) => format!("{}: {note}", project.at_capability(name)),
            None => note,
        });
    }
    for built_in in &BUILT_IN {
        let Ok(other) = Manifest::read(built_in.component) else {
            continue;
        };
        let all = |of: &Manifest| -> Vec<String> {
            [&of.kinds[..], &of.initiates, &of.protocols].concat()
        };
        let others = all(&other);
        let mut shared = all(manifest);
        shared.retain(|kind| others.contains(kind));
        if let Some(first) = shared.first()
            && other.name != manifest.name
        {
            let note = format!(
                "{} is treated by the built-in `{}`: a node runs one of the two",
                shared.join(", "),
                other.name
            );
            notes.push(match project.and_then(|project| project.at_name(first)) {
                Some(line) => format!("{line}: {note}"),
                None => note,
            });
        }
    }
    notes
}

/// What a host says, with the line that is to be changed.
fn refused(name: &str, error: &LoadError, project: Option<&Project>) -> AuthoringError {
    let table = match error {
        LoadError::Undeclared { .. } => Some("capabilities"),
        LoadError::TooLarge { .. } | LoadError::TooMuch { .. } => Some("limits"),
        _ => None,
    };
    let todo = match error {
        LoadError::Undeclared { capability, .. } => format!(
            "write `{} = \"why you need it\"` under [capabilities] in backchannel.toml, or do not call it",
            capability.name()
        ),
        LoadError::TooLarge { size, .. } => wish(Limit::FileKib, (*size as u64).div_ceil(1024)),
        LoadError::TooMuch { needs, hit } => wish(hit.limit, *needs),
        LoadError::NotOffered { import } if import.starts_with("wasi:") => {
            let library = match project.map(Project::language) {
                Some(Language::Rust) => "leave out the crate that asks for files, clock or randomness",
                _ => "build it with `backchannel build`, which leaves WASI out",
            };
            library.to_owned()
        }
        LoadError::WrongWorld(_) => {
            "export a handler for `kinds`, an initiator too if the file says that it `initiates`, a part for `protocols`: in Rust with export_handler!, export_protocol! or export_rounds!".to_owned()
        }
        other => other.advice(),
    };
    let at = match (project, table) {
        (Some(project), Some(table)) => format!("{}: ", project.at_table(table)),
        _ => String::new(),
    };
    AuthoringError::new(
        Fault::Component,
        format!("{at}no host would load {name}"),
        error,
        todo,
    )
}

/// What to write where a starting limit is too low.
fn wish(limit: Limit, needs: u64) -> String {
    if needs > *limit.range().end() {
        return format!(
            "make it smaller: no operator can allow more than {limit} = {}",
            limit.range().end()
        );
    }
    format!("write `{limit} = {needs}` under [limits] in backchannel.toml")
}
