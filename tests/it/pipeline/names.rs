//! Pipelines that are named in any script, from the file to the index, and what becomes of indexes made before that could be.

use serde_json::Value;

use crate::project::Project;

/// Two pipelines of two folders, with the names of their files.
fn project() -> Project {
    let project = Project::new();
    for (folder, word, count) in [("a", "水壶", 3), ("b", "灯笼", 5)] {
        for n in 0..count {
            project.write(&format!("{folder}/{folder}{n}.md"), format!("# {word} {n}\n{word} {n} 号在厨房里。\n"));
        }
    }
    for (file, folder) in [("手册", "a"), ("笔记", "b")] {
        project.write(
            &format!("{file}.yaml"),
            format!("version: 1\nsources: [./{folder}]\nembed: {{ model: local/potion-base-8M }}\n"),
        );
    }
    project
}

fn summary(project: &Project, file: &str) -> Value {
    project.run(&["ingest", "-p", file, "--json"]).expect_code(0).last("summary")
}

#[test]
fn pipelines_with_chinese_names_have_indexes_of_their_own() {
    let project = project();
    let first = summary(&project, "手册.yaml");
    assert_eq!((&first["pipeline"], &first["documents"]["added"]), (&"手册".into(), &3.into()));
    let second = summary(&project, "笔记.yaml");
    assert_eq!(
        (&second["pipeline"], &second["documents"]["added"], &second["documents"]["removed"]),
        (&"笔记".into(), &5.into(), &0.into())
    );
    for (file, count) in [("手册.yaml", 3), ("笔记.yaml", 5)] {
        let again = summary(&project, file);
        assert_eq!((&again["documents"]["unchanged"], &again["documents"]["removed"]), (&count.into(), &0.into()), "{file}");
        let status = project.run(&["status", "-p", file, "--json"]).expect_code(0).last("status");
        assert_eq!(status["documents"], count);
    }
    let hits = project.run(&["search", "水壶", "-p", "手册.yaml", "-p", "笔记.yaml", "--json"]).expect_code(0).of_type("hit");
    assert!(hits[0]["uri"].as_str().unwrap().starts_with("a/"), "{hits:?}");
    // From a Mac, with its accent apart from its letter.
    project.write("cafe\u{301}.yaml", "version: 1\nsources: [./a]\nembed: { model: local/potion-base-8M }\n");
    assert_eq!(summary(&project, "cafe\u{301}.yaml")["pipeline"], "café");
}

#[test]
fn an_index_under_the_former_name_is_neither_lost_nor_made_again_unawares() {
    let project = project();
    // As it was made by an earlier version: the file's name had no letter that a name could have.
    project.write("old.yaml", "version: 1\nname: default\nsources: [./a]\nembed: { model: local/potion-base-8M }\n");
    summary(&project, "old.yaml");
    for command in [
        &["ingest", "-p", "手册.yaml"][..],
        &["plan", "-p", "手册.yaml"],
        &["search", "水壶", "-p", "手册.yaml"],
        &["status", "-p", "手册.yaml"],
    ] {
        let refused = project.run(command).expect_code(2);
        for said in ["called `default`", "write `name: default`", "`name: 手册`"] {
            assert!(refused.stderr.contains(said), "{command:?}: {}", refused.stderr);
        }
    }
    // Another file's documents were never in there.
    assert_eq!(summary(&project, "笔记.yaml")["documents"]["added"], 5);
    // It goes on with what there is, or begins anew, as the file says.
    let with = |name: &str| {
        project.write(
            "手册.yaml",
            format!("version: 1\nname: {name}\nsources: [./a]\nembed: {{ model: local/potion-base-8M }}\n"),
        );
        summary(&project, "手册.yaml")["documents"].clone()
    };
    assert_eq!(with("default")["unchanged"], 3);
    assert_eq!(with("手册")["added"], 3);
    // It has its own from here on, by its file's name too.
    project.write("手册.yaml", "version: 1\nsources: [./a]\nembed: { model: local/potion-base-8M }\n");
    assert_eq!(summary(&project, "手册.yaml")["documents"]["unchanged"], 3);
}
