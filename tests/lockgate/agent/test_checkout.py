"""`checkout`: the working tree as it is, put where an agent puts it, and nothing of it reaches the person's own repository."""

from __future__ import annotations

import shutil


def said(ended, path="__default/Job/2"):
    return [line for line in ended.log(path) if not line.startswith("##")]


def test_the_working_tree_as_it_is(project):
    project.git("rm", "--quiet", "--cached", "readme.txt")
    project.git("add", "readme.txt")
    project.write("readme.txt", "changed\n")
    project.write("new/untracked.txt", "new\n")
    project.write("not.ignored", "hidden\n")
    project.write("gone.txt", "x\n")
    project.git("add", "gone.txt")
    project.git("commit", "--quiet", "-m", "second")
    (project.folder / "gone.txt").unlink()
    project.program("run.sh", "#!/bin/sh\necho can be run\n")
    (project.folder / "link").symlink_to("readme.txt")
    ended = project.run_text("""\
        steps:
        - bash: |
            cat readme.txt new/untracked.txt
            ls -A | sort | tr '\\n' ' '; echo
            ./run.sh; readlink link
        """)
    assert said(ended) == ["changed", "new", ".git .gitignore link new p.yml readme.txt run.sh ", "can be run", "readme.txt"]


def test_git_works_there_and_reaches_nobody(project):
    project.write("readme.txt", "changed\n")
    sha = project.git("rev-parse", "HEAD")
    ended = project.run_text("""\
        steps:
        - bash: |
            git rev-parse HEAD
            git symbolic-ref -q HEAD || echo detached
            git log -1 --format=%s
            git status --short
            git -c user.name=x -c user.email=x@y commit -qam "made there"
            git tag made-there
            git branch made-there
            git log -1 --format=%s
            git -c user.name=x -c user.email=x@y stash list
            git gc -q --prune=now && git fsck 2>&1 | head -3
            git rev-parse --show-toplevel | sed 's,.*/,,'
        """)
    log = said(ended)
    assert log[:3] == [sha, "detached", "the first commit"]
    assert " M readme.txt" in log
    assert "made there" in log
    assert log[-1] == "s"
    assert project.git("rev-parse", "HEAD") == sha
    assert project.git("tag") == ""
    assert project.git("branch", "--format=%(refname:short)") == "main"
    assert project.git("fsck") == ""


def test_a_push_from_there_is_the_only_thing_that_could_reach_it_and_git_describe_works(project):
    project.git("tag", "v1.0")
    ended = project.run_text("steps: [{bash: 'git describe --tags || echo no tags'}]\n")
    assert said(ended) == ["v1.0"]


def test_path_and_variables(project):
    ended = project.run_text("""\
        jobs:
        - job: a
          steps:
          - checkout: self
            path: my/place
          - bash: |
              echo "${PWD#$(Pipeline.Workspace)/}"
              echo "$BUILD_SOURCESDIRECTORY" | sed "s,^$(Pipeline.Workspace)/,,"
              echo "$(Build.Repository.LocalPath)" | sed "s,^$(Pipeline.Workspace)/,,"
              cat readme.txt
        - job: b
          steps:
          - checkout: self
            path: ../../../outside
        - job: c
          steps:
          - checkout: self
            path: s/../../../x
        """)
    assert said(ended, "__default/a/2") == ["my/place", "my/place", "my/place", "first"]
    assert (ended.status["__default/b/1"], ended.status["__default/c/1"]) == ("Failed", "Failed")
    assert "path" in ended.details["__default/b/1"]


def test_several_repositories(project):
    tools = project.repository("tools-folder", tool_txt="a tool")
    other = project.repository("other-folder", other_txt="other")
    project.write("p.yml", """\
        resources:
          repositories:
          - {repository: tools, type: git, name: Team/my-tools}
          - {repository: other, type: git, name: Team/other.git}
        steps:
        - checkout: self
        - checkout: tools
        - checkout: other
          path: place
        - bash: |
            ls "$(Build.SourcesDirectory)" | sort | tr '\\n' ' '; echo
            cat $(Build.SourcesDirectory)/shop/readme.txt $(Build.SourcesDirectory)/my-tools/tool.txt $(Pipeline.Workspace)/place/other.txt
            echo
            echo "$(Build.SourcesDirectory) $(System.DefaultWorkingDirectory) $PWD" | sed "s,$(Pipeline.Workspace)/,,g"
            git -C $(Build.SourcesDirectory)/my-tools log -1 --format=%s
        """)  # fmt: skip
    ended = project.run("p.yml", "--repo", f"tools={tools}", "--repo", f"other={other}")
    assert ended.code == 0, ended.err
    assert said(ended, "__default/Job/4") == ["my-tools shop ", "first", "a toolother", "s s s", "first of tools-folder"]


def test_one_other_repository_goes_to_s(project):
    tools = project.repository("tools-folder", tool_txt="a tool\n")
    project.write("p.yml", """\
        resources: {repositories: [{repository: tools, type: git, name: Team/my-tools}]}
        steps:
        - checkout: tools
        - bash: cat tool.txt; echo "${PWD##*/}"
        """)  # fmt: skip
    ended = project.run("p.yml", "--repo", f"tools={tools}")
    assert said(ended) == ["a tool", "s"]


def test_a_repository_that_nobody_gave_says_how_to_give_it(project):
    ended = project.run_text("""\
        resources: {repositories: [{repository: tools, type: git, name: Team/my-tools}]}
        steps:
        - checkout: tools
        """)
    assert ended.code != 0
    assert "--repo tools=" in ended.err


def test_an_unknown_repository_is_a_mistake(project):
    ended = project.run_text("steps:\n- checkout: nobody\n")
    assert ended.code == 2
    assert "nobody" in ended.err


def test_checkout_none_and_deployments(project):
    ended = project.run_text("""\
        jobs:
        - job: none
          steps: [{checkout: none}, {bash: ls -A | wc -l}]
        - deployment: d
          environment: e
          strategy: {runOnce: {deploy: {steps: [{bash: ls -A | wc -l}]}}}
        - deployment: asked
          environment: e
          strategy: {runOnce: {deploy: {steps: [{checkout: self}, {bash: cat readme.txt}]}}}
        """)
    assert said(ended, "__default/none/2")[-1] == "0"
    assert said(ended, "__default/d/deploy.2")[-1] == "0"
    assert said(ended, "__default/asked/deploy.3")[-1] == "first"


def test_all_jobs_of_a_run_see_the_same_even_if_the_person_goes_on_working(project):
    project.write("p.yml", """\
        jobs:
        - job: a
          steps: [{bash: 'echo $$ > "$HERE/step"; until test -e "$HERE/go"; do sleep 0.02; done'}]
        - job: b
          dependsOn: a
          steps: [{bash: cat readme.txt; ls}]
        """)  # fmt: skip
    process = project.start()
    project.pid("step")
    project.write("readme.txt", "changed meanwhile\n")
    (project.folder / "go").touch()
    ended = project.end_of(process)
    assert said(ended, "__default/b/2") == ["first", "p.yml", "readme.txt"]


def test_a_folder_without_git(project):
    shutil.rmtree(project.folder / ".git")
    project.write("deep/er/file.txt", "text\n")
    ended = project.run_text("""\
        steps:
        - bash: |
            cat deep/er/file.txt; ls -A
            echo "[$(Build.SourceVersion)] [$(Build.SourceBranch)]"
        """, "--root", ".")  # fmt: skip
    assert ended.code == 0, ended.err
    assert said(ended)[-1] == "[] []"
    assert ".lockgate" not in said(ended)


def test_a_repository_without_commits(project):
    shutil.rmtree(project.folder / ".git")
    project.git("init", "--quiet")
    ended = project.run_text("steps: [{bash: cat readme.txt}]\n")
    assert (ended.code, said(ended)) == (0, ["first"])


def test_a_worktree_and_odd_names(project):
    project.write("with space/näme'.txt", "odd\n")
    project.git("add", "--all")
    project.git("commit", "--quiet", "-m", "odd")
    project.git("worktree", "add", "--quiet", "-b", "side", "../shop side")
    side = type(project)(project.folder.parent / "shop side")
    ended = side.run_text("""\
        steps:
        - bash: cat "with space/näme'.txt"; git log -1 --format=%s; git status --short; echo "$(Build.SourceBranch)"
        """)
    assert ended.code == 0, ended.err
    assert said(ended) == ["odd", "odd", "?? p.yml", "refs/heads/side"]


def test_a_pipeline_is_found_from_another_folder(project):
    project.write("deep/p.yml", "steps: [{bash: cat readme.txt}]\n")
    (project.folder / "elsewhere").mkdir()
    ended = type(project)(project.folder / "elsewhere").call("run", "../deep/p.yml", "--plain", "--json")
    assert ended.code == 0, ended.err
    assert (project.runs / "1").is_dir()


def test_what_lies_behind_a_folder_that_became_a_link_is_left_alone(project):
    """git lists the files that it knew in the folder, and they are found through the link: writing them would reach another folder."""
    project.write("a/x.txt", "committed\n")
    project.git("add", "-A")
    project.git("commit", "--quiet", "-m", "second")
    shutil.rmtree(project.folder / "a")
    outside = project.folder.parent / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("somebody's\n")
    (project.folder / "a").symlink_to(outside)
    ended = project.run_text("""\
        jobs:
        - job: one
          steps: [{bash: 'readlink a; echo newer > a/x.txt'}]
        - job: two
          dependsOn: one
          steps: [{bash: cat a/x.txt}]
        """)
    assert ended.code == 0, ended.err
    assert said(ended, "__default/two/2") == ["newer"]
    assert (outside / "x.txt").read_text() == "newer\n"


def test_a_resumed_run_has_each_kind_of_change_and_keeps_what_steps_made(project):
    files = {
        "changed.txt": "one\n", "read-only.txt": "one\n", "gone.txt": "x\n", "mode.sh": "#!/bin/sh\necho ran\n",
        "file-then-folder": "x\n", "folder-then-file/in": "x\n", "folder-then-link/in": "x\n", "target/in": "of the target\n",
    }  # fmt: skip
    for name, text in files.items():
        project.write(name, text)
    (project.folder / "read-only.txt").chmod(0o444)
    (project.folder / "link-then-file").symlink_to("changed.txt")
    (project.folder / "file-then-link").write_text("x\n")
    (project.folder / "link-then-folder").symlink_to("target")
    project.write("p.yml", """\
        steps:
        - bash: ln changed.txt linked.txt; echo made > made.txt
        - bash: |
            test -f "$HERE/go"
            cat changed.txt linked.txt read-only.txt made.txt target/in
            ls -d gone.txt 2>&1 | sed 's/.*gone/gone/'
            ./mode.sh
            cat file-then-folder/in folder-then-file link-then-file link-then-folder/in; readlink folder-then-link file-then-link
        """)  # fmt: skip
    assert project.run().code == 1
    project.write("changed.txt", "two\n")
    (project.folder / "read-only.txt").chmod(0o644)
    project.write("read-only.txt", "two\n")
    (project.folder / "read-only.txt").chmod(0o444)
    (project.folder / "gone.txt").unlink()
    (project.folder / "mode.sh").chmod(0o755)
    (project.folder / "file-then-folder").unlink()
    project.write("file-then-folder/in", "in a folder\n")
    for name in ("folder-then-file", "folder-then-link"):
        shutil.rmtree(project.folder / name)
    project.write("folder-then-file", "a file\n")
    (project.folder / "folder-then-link").symlink_to("target")
    (project.folder / "link-then-file").unlink()
    project.write("link-then-file", "a file now\n")
    (project.folder / "file-then-link").unlink()
    (project.folder / "file-then-link").symlink_to("target")
    (project.folder / "link-then-folder").unlink()
    project.write("link-then-folder/in", "a folder now\n")
    (project.folder / "go").touch()
    ended = project.run("p.yml", "--resume")
    assert ended.code == 0, ended.err
    assert ended.log("__default/Job/3")[-13:] == [
        "two", "one", "two", "made", "of the target", "gone.txt': No such file or directory", "ran", "in a folder", "a file",
        "a file now", "a folder now", "target", "target",
    ]  # fmt: skip


def test_the_tree_of_an_earlier_job_is_as_new(project):
    """A job that ended well leaves its files to the next; whatever it did to them is undone, and the person's files are never touched."""
    names = ("edited", "same-size-and-time", "mode", "named", "gone/in", "moved", "to-folder", "linked", "closed/in", "kept")
    files = [f"{name}.txt" for name in names]
    for name in files:
        project.write(name, f"{name}\n")
    project.write(
        "q.yml",
        """\
        steps:
        - bash: |
            stat -c %i kept.txt
            echo more >> edited.txt
            stamp=$(stat -c %y same-size-and-time.txt); sed -i 's/same/SAME/' same-size-and-time.txt; touch -d "$stamp" same-size-and-time.txt
            chmod +x mode.txt; chmod 700 closed; ln named.txt other-name; rm -r gone; mv moved.txt elsewhere.txt
            rm to-folder.txt; mkdir to-folder.txt; echo x > to-folder.txt/x
            rm linked.txt; ln -s "$HERE/readme.txt" linked.txt; mkdir -p new/deep; echo new > new/deep/file
            git config user.name x; git config user.email x@y; git add -A; git commit -qm "of a step"; echo "*" > .git/info/exclude
        """,
    )
    project.write(
        "p.yml",
        """\
        steps:
        - bash: |
            stat -c %i kept.txt
            git status --short; git log -1 --format=%s; git config user.name
            find . -path ./.git -prune -o -printf '%M %p %l\\n' | sort; cat *.txt */*.txt
        """,
    )
    project.git("add", "-A")
    project.git("commit", "--quiet", "-m", "second")
    clean = said(project.run())
    spoilt = project.run("q.yml")
    assert spoilt.code == 0, spoilt.err
    changed = said(spoilt)
    assert said(project.run()) == clean
    assert changed[0] == clean[0]  # What no step touched is the very same file: nothing was copied.
    assert all(project.read(name) == f"{name}\n" for name in files)


def test_jobs_that_begin_and_end_at_once_have_a_tree_each(project):
    for number in range(40):
        project.write(f"many/{number}.txt", f"{number}\n")
    project.write(
        "p.yml", "jobs:\n" + "".join(f"- job: j{k}\n  steps: [{{bash: 'cat many/*.txt | wc -l; rm -r many'}}]\n" for k in range(16))
    )
    for _ in range(2):
        ended = project.run("p.yml", "--jobs", "8")
        assert (ended.code, ended.err.count("Traceback")) == (0, 0)
        assert {said(ended, f"__default/j{k}/2")[0] for k in range(16)} == {"40"}


def test_a_tree_that_a_process_uses_still_is_not_given_on(project):
    project.write(
        "p.yml",
        """\
        steps:
        - bash: |
            stat -c %i readme.txt
            env -i PATH="$PATH" setsid sh -c 'touch "$1/up"; until test -e "$1/go"; do sleep 0.05; done' sh "$HERE" > /dev/null 2>&1 &
            until test -e "$HERE/up"; do sleep 0.02; done
        """,
    )
    first = said(project.run())
    second = said(project.run())
    (project.folder / "go").touch()
    assert first[0] != second[0]
