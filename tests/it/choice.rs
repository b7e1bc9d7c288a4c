//! Which local model embeds where the pipeline leaves the choice.

use crate::installed::{PUBLISHED, cache_with_models};
use crate::project::Project;

const ENGLISH: &str =
    "The signing key is rotated every ninety days, and the old one is kept for as long again so that nothing breaks.\n";
const CHINESE: &str = "签名密钥每九十天更换一次,旧密钥会再保留同样长的时间,以免任何服务中断。\n";

/// The model of the index, as `status` says it.
fn model(project: &Project) -> String {
    let status = project.run(&["status", "-p", "pipeline.yaml", "--json"]).expect_code(0).last("status");
    status["index"]["model"].as_str().unwrap().to_owned()
}

/// A pipeline that leaves the choice: by saying so, or by saying nothing.
fn with_documents(texts: impl IntoIterator<Item = &'static str>) -> Project {
    let project = Project::new();
    let mut documents = 0;
    for (number, text) in texts.into_iter().enumerate() {
        // Not twice the same.
        project.write(&format!("docs/{number}.md"), format!("{text}\n{number}\n"));
        documents += 1;
    }
    let said = if documents % 2 == 0 { "embed: { model: local/auto }\n" } else { "" };
    project.write("pipeline.yaml", format!("version: 1\nname: default\n{said}sources: [{{ files: {{ paths: [docs] }} }}]\n"));
    project
}

#[test]
fn english_gets_the_fast_model_and_nothing_is_said() {
    let project = with_documents([ENGLISH; 12]);
    let ended = project.run(&["ingest", "-p", "pipeline.yaml", "--json"]).expect_code(0);
    assert!(!ended.stderr.contains("English"), "{}", ended.stderr);
    assert!(model(&project).contains("potion-base-8m"), "{}", model(&project));
}

#[test]
fn other_languages_get_the_multilingual_one_which_is_said_and_the_index_keeps_it() {
    let project = with_documents([ENGLISH, ENGLISH, ENGLISH, CHINESE]);
    let ended = project.run(&["ingest", "-p", "pipeline.yaml", "--json"]).expect_code(0);
    let said = "1 of 4 documents looked at are not in English: embedding with local/use-multilingual-v3 (`embed.model` says otherwise)";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    assert!(model(&project).contains("use-multilingual-v3"), "{}", model(&project));

    // A question in one language finds what is in another.
    let hits = project
        .run(&["search", "how long is the former key kept?", "-p", "pipeline.yaml", "--json"])
        .expect_code(0)
        .of_type("hit");
    assert!(hits.iter().any(|hit| hit["uri"].as_str().unwrap().ends_with("3.md")), "{hits:?}");

    // Whatever becomes of the documents.
    project.remove("docs/3.md");
    let again = project.run(&["ingest", "-p", "pipeline.yaml", "--json"]).expect_code(0);
    assert!(!again.stderr.contains("English"), "{}", again.stderr);
    assert!(model(&project).contains("use-multilingual-v3"), "{}", model(&project));

    project.run(&["ingest", "-p", "pipeline.yaml", "--rebuild", "--json"]).expect_code(0);
    assert!(model(&project).contains("potion-base-8m"), "{}", model(&project));
}

#[test]
fn an_index_of_another_local_model_keeps_it() {
    let project = with_documents([ENGLISH]);
    project.write(
        "pipeline.yaml",
        "version: 1\nname: default\nembed: { model: local/all-MiniLM-L6-v2 }\nsources: [{ files: { paths: [docs] } }]\n",
    );
    project.run(&["ingest", "-p", "pipeline.yaml", "--json"]).expect_code(0);
    let made = model(&project);
    project.write(
        "pipeline.yaml",
        "version: 1\nname: default\nembed: { model: local/auto }\nsources: [{ files: { paths: [docs] } }]\n",
    );
    project.write("docs/more.md", CHINESE);
    project.run(&["ingest", "-p", "pipeline.yaml", "--json"]).expect_code(0);
    assert_eq!(model(&project), made);
    assert!(made.contains("all-minilm-l6-v2"), "{made}");
}

#[test]
fn where_the_multilingual_model_is_not_there_words_find_the_documents_and_that_is_said() {
    let project = with_documents([CHINESE]);
    for file in PUBLISHED {
        let file = format!("models/potion-base-8M/{file}");
        project.write(&format!("cache/{file}"), std::fs::read(cache_with_models().join(&file)).unwrap());
    }
    let project = project.with("RAGSTREAM_CACHE", "cache").with("HF_ENDPOINT", "http://127.0.0.1:9");
    let ended = project.run(&["ingest", "docs"]).expect_code(0);
    for said in [
        "1 of 1 documents looked at are not in English, and local/use-multilingual-v3 is not there",
        "embedding with local/potion-base-8M, so that words alone find them",
        "scripts/models use-multilingual-v3",
        "ingest --rebuild",
    ] {
        assert_eq!(ended.stderr.matches(said).count(), 1, "{said}: {}", ended.stderr);
    }
    assert!(model(&project).contains("potion-base-8m"), "{}", model(&project));
    let hits = project.run(&["search", "签名密钥多久更换一次?", "--json"]).expect_code(0).of_type("hit");
    assert!(hits[0]["uri"].as_str().unwrap().ends_with("0.md"), "{hits:?}");
}

#[test]
fn a_model_that_is_not_there_is_named_with_what_to_do() {
    let project = with_documents([CHINESE]).with("RAGSTREAM_CACHE", "empty").with("HF_ENDPOINT", "http://127.0.0.1:9");
    let ended = project.run(&["ingest", "-p", "pipeline.yaml"]).expect_code(2);
    for said in ["no usable copy of potion-base-8M", "scripts/models potion-base-8M", "HF_ENDPOINT"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}
