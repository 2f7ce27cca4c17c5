"""Words of other programs and of Lightning's Trainer: an error message tells ours. No torch."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from gan.common.errors import UserError, did_you_mean
from gan.run.paths import group_names, groups

LENGTH = "set the length with images=N (all images seen: epochs x images of the folder) or minutes=N"
RATES = "write model.generator_optimizer.lr={} model.discriminator_optimizer.lr={}"
SCORES = "scores come from callback.evaluate: set callback.evaluate.interval=IMAGES"

# Word (lower case, _ for -) -> what to type instead; {} is the value, or VALUE if there is none.
ANSWERS: dict[str, str] = {}
for _names, _answer in (
    ("epochs epoch max_epochs num_epochs n_epochs nepochs nepoch n_epoch min_epochs", LENGTH),
    ("steps max_steps num_steps total_steps train_steps min_steps iterations iters iter niter n_iter n_iters max_iter "
     "max_iters num_iterations total_iters", "set the length with images=N (steps x data.batch_size) or minutes=N"),
    ("kimg total_kimg", "write images={}000"),
    ("max_time time_limit duration", "set the length with minutes=N"),
    ("lr learning_rate base_lr", RATES),
    ("lr_g g_lr glr lrg gen_lr generator_lr", "write model.generator_optimizer.lr={}"),
    ("lr_d d_lr dlr lrd disc_lr discriminator_lr", "write model.discriminator_optimizer.lr={}"),
    ("b1 beta1 beta_1", "write model.generator_optimizer.betas=[{},0.999] and the same for discriminator_optimizer"),
    ("optimizer optim optimiser", "write model.generator_optimizer._target_=CLASS, as in torch.optim.AdamW"),
    ("batch_size batch batchsize bs b train_batch_size per_device_train_batch_size batch_gpu",
     "write data.batch_size={}, the total of all devices"),
    ("accumulate_grad_batches gradient_accumulation_steps grad_accum micro_batch_size",
     "write model.micro_batch=IMAGES, the largest part of a batch in one forward pass"),
    ("gpus ngpu ngpus n_gpu n_gpus num_gpus devices num_devices nproc_per_node world_size", "write trainer.devices={}"),
    ("nnodes nodes num_machines", "write trainer.num_nodes={}"),
    ("gpu cuda device accelerator cpu no_cuda mps", "write trainer.accelerator=gpu or trainer.accelerator=cpu"),
    ("fp16 amp bf16 mixed_precision half", "write trainer.precision=bf16-mixed or 16-mixed"),
    ("fp32 no_fp16", "write trainer.precision=32-true"),
    ("allow_tf32 tf32", "TF32 is used on GPUs that have it"),
    ("workers num_workers nworkers n_workers n_cpu data_workers j", "write data.num_workers={}"),
    ("image_size img_size imsize imagesize resolution res size crop_size load_size loadsize cropsize fine_size h w "
     "image_resolution height width img_height img_width", "write data.size={}, or data.size=[HEIGHT,WIDTH]"),
    ("channels nc n_channels num_channels img_channels", "write data.channels={}: 1 gray, 3 RGB, 4 RGBA"),
    ("dataset data_dir datadir dataroot data_root data_path datapath data_folder dataset_path dataset_root train_dir "
     "train_data image_dir images_dir img_dir input input_dir folder path dir instance_data_dir train_data_dir "
     "datamodule source", "write data.root={}"),
    ("content photos input_a dataroot_a dir_a data_a", "write data.a={}"),
    ("style_dir retro input_b dataroot_b dir_b data_b", "write data.b={}"),
    ("labels cond conditional class_cond", "write data.labels=true to use sub-folders as classes"),
    ("mirror hflip horizontal_flip x_flip random_flip", "write data.flip=true"),
    ("subset max_dataset_size", "write data.max_images={}"),
    ("out outdir out_dir output output_dir save_dir savedir save_path results results_dir result_dir log_dir logdir "
     "checkpoints_dir checkpoint_dir default_root_dir run_dir work_dir exp_name experiment_name name run_name "
     "task_name run", "write hydra.run.dir=runs/NAME"),
    ("ckpt ckpt_path checkpoint checkpoint_path resume_from resume_ckpt resume_from_checkpoint continue continue_train "
     "start_epoch", "write resume=runs/NAME to continue a run, or init_from=runs/NAME to start from its weights"),
    ("pretrained init_checkpoint finetune fine_tune transfer resume_pkl weights load_weights load",
     "write init_from=runs/NAME, a run of the same model"),
    ("callbacks", "write callback=[progress,samples,evaluate,health,checkpoint]; a list replaces the whole list"),
    ("loggers", "write logger=[tensorboard]; logger=[] for none"),
    ("no_log disable_logging no_logger", "write logger=[]"),
    ("log_every log_interval log_every_n_steps print_freq display_freq log_freq", "write model.log_interval=IMAGES"),
    ("snap save_every save_interval save_freq save_epoch_freq checkpoint_interval save_steps checkpointing_steps "
     "every_n_train_steps snapshot_freq", "write callback.checkpoint.interval=IMAGES"),
    ("sample_every sample_interval sample_freq image_snap", "write callback.samples.interval=IMAGES"),
    ("eval_every eval_interval eval_freq eval_steps val_every validation_steps",
     "write callback.evaluate.interval=IMAGES"),
    ("metrics", "write metric=[kid,fd,precision_recall]"),
    ("hparams_search sweep", "write -m search=optuna, or lists of values such as -m seed=0,1"),
    ("seeds random_seed manual_seed manualseed randomseed", "write seed={}"),
    ("arch architecture network net cfg_name gan gan_type netg netd gan_mode",
     "write model=NAME; python train.py --help lists the models"),
    ("loss_type loss_fn criterion", "write loss=NAME; python train.py --help lists the losses"),
    ("latent_dim latent_size z_dim nz zdim latent noise_dim", "write model.generator.latent_dim={}"),
    ("ngf gf_dim g_channels", "write model.generator.width={}"),
    ("ndf df_dim d_channels", "write model.discriminator.width={}"),
    ("n_critic ncritic critic_iters n_disc d_steps num_d_steps", "write model.n_critic={}"),
    ("ema ema_decay ema_kimg ema_beta", "write model.ema_half_life=IMAGES"),
    ("gamma r1_gamma r1", "write penalty=[r1] penalty.r1.weight={}"),
    ("lambda_gp gp gp_weight gradient_penalty", "write model=wgan_gp penalty.gradient_penalty.weight={}"),
    ("lambda_a lambda_b lambda_cycle", "write penalty.cycle.weight={}"),
    ("lambda_l1 l1_lambda", "write penalty.reconstruction.weight={}"),
    ("lambda_idt lambda_identity", "write penalty=[cycle,identity] penalty.identity.weight={}"),
    ("aug ada diffaug diffaugment augmentation p target augpipe policy",
     "write augment=ada, augment=diffaugment or augment=none"),
    ("direction", "data.a is the input and data.b the target; exchange them for the other direction"),
    ("mode phase action", "train.py trains; the gan commands generate, translate and evaluate"),
    ("train", "train.py always trains; length: images=N or minutes=N"),
    ("test eval evaluate", "write gan evaluate runs/NAME after training"),
    ("generate sample", "write gan generate runs/NAME --seeds 0-15 --out DIR after training"),
    ("config config_file", "write experiment=NAME; python train.py --help lists the experiments"),
    ("overfit_batches overfit", "write debug=overfit"),
    ("limit_train_batches", "write debug=limit, or set the length with images=N"),
    ("fast_dev_run dry_run", "write debug=fast"),
    ("profiler profile", "write debug=profile"),
    ("clip grad_clip clip_grad gradient_clip_val gradient_clip max_grad_norm", "gradients are not clipped; lower the "
     "learning rates or add a penalty such as penalty=[r1]"),
    ("verbose v quiet q", "write callback.progress.plain_interval=SECONDS, or callback=[checkpoint] for no progress"),
    ("local_rank", "write trainer.devices=N instead of torch.distributed.launch, or use torchrun"),
    ("compile", "write model.compile=inductor"),
    ("tags extras paths hydra_run task", "retro-gan has no such option; hydra.run.dir=runs/NAME names the run"),
):  # fmt: skip
    ANSWERS |= dict.fromkeys(_names.split(), _answer)

# Options of Lightning's Trainer without effect here -> the reason, and what to type instead.
ENDLESS = "the data is endless, so an epoch never ends; "
TRAINER = {
    "max_epochs": ENDLESS + LENGTH,
    "min_epochs": ENDLESS + LENGTH,
    "max_steps": "images= sets it; " + ANSWERS["max_steps"],
    "min_steps": "a run ends at its length; " + ANSWERS["max_steps"],
    "max_time": ANSWERS["max_time"] + ", which a resumed run continues",
    "limit_train_batches": ENDLESS + ANSWERS["limit_train_batches"],
    "overfit_batches": ENDLESS + ANSWERS["overfit_batches"],
    "reload_dataloaders_every_n_epochs": ENDLESS + "the data is loaded once",
    "fast_dev_run": "it would replace the callbacks and the length; " + ANSWERS["fast_dev_run"],
    "profiler": "its report would not be printed; " + ANSWERS["profiler"],
    "limit_val_batches": "there is no validation loop; " + SCORES,
    "limit_test_batches": "there is no test loop; write gan evaluate runs/NAME after training",
    "limit_predict_batches": "there is no prediction loop; write gan generate runs/NAME after training",
    "val_check_interval": "there is no validation loop; " + SCORES,
    "check_val_every_n_epoch": "there is no validation loop; " + SCORES,
    "num_sanity_val_steps": "there is no validation loop; " + SCORES,
    "inference_mode": "there is no validation loop; " + SCORES,
    "log_every_n_steps": "losses are logged by images seen; write model.log_interval=IMAGES",
    "accumulate_grad_batches": "two optimizers take turns, which it does not support; "
    + ANSWERS["accumulate_grad_batches"],
    "gradient_clip_val": "two optimizers take turns, which it does not support; " + ANSWERS["gradient_clip_val"],
    "gradient_clip_algorithm": "two optimizers take turns, which it does not support; " + ANSWERS["gradient_clip_val"],
    "use_distributed_sampler": "the order of images does not depend on the number of devices, without a sampler",
    "enable_checkpointing": "callback=[...] with or without checkpoint sets it",
    "enable_autolog_hparams": "the whole configuration is logged; write logger=[] for no logger",
    "model_registry": "checkpoints stay in the run folder",
    "barebones": "it would disable callbacks and loggers; write callback=[] logger=[]",
    "callbacks": "train.py sets it; " + ANSWERS["callbacks"],
    "logger": "train.py sets it; " + ANSWERS["loggers"],
    "plugins": "train.py sets it",
    "default_root_dir": "train.py sets it; write hydra.run.dir=runs/NAME",
}
NONE = ("none", "false", "null", "no", "off")  # values of other programs that switch a part off
LISTS = ("logger", "callback", "penalty", "metric")  # groups with several files per run
FLAGS = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"}
FLAGS |= {"--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"}
FLAGS |= {"--config-dir", "-cd", "--experimental-rerun", "--info", "-i", "--code"}
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
WITH_VALUE |= {"--experimental-rerun", "--info", "-i", "--code"}


def answer(name: str, value: str | None = None) -> str | None:
    """Return what to type instead of a word of another program; None if it is not known."""
    found = ANSWERS.get(name.lower().replace("-", "_"))
    if found == "write data.root={}" and value in group_names("data"):
        return f"write data={value}"
    return found and found.replace("{}", value or "VALUE")


def describe_foreign(key: str, value: str | None = None) -> str | None:
    """Return a line about an option KEY that does not exist, by its whole name or its last part; None if unknown."""
    section, _, name = key.rpartition(".")
    if section == "trainer" and name in TRAINER:
        return f"{key}: has no effect here: {TRAINER[name]}"
    found = answer(name, value) if len(name) > 1 else None
    return found and f"{key}: no such option; {found}"


def check_words(words: Sequence[str], known: Callable[[], Collection[str]]) -> None:
    """Raise UserError for the first argument that is not ours: a flag, a path without a name, an idle Trainer option.

    Args:
        known: returns the options of the default configuration, and the groups; called only if there is an error.
    """
    sweep = bool({"-m", "--multirun"} & set(words))
    if sweep and (shows := [word for word in words if word.partition("=")[0] in ("--cfg", "-c", "--info", "-i")]):
        raise UserError(f"{shows[0]}: shows one configuration; leave out -m")
    values = {index + 1 for index, word in enumerate(words) if word in WITH_VALUE}
    for index, word in enumerate(words):
        if index in values:
            continue
        if word.startswith("-"):
            check_flag(word, words[index + 1] if index + 1 < len(words) else None, known)
        elif is_bare(word):
            raise UserError(describe_bare(word, words, known))
        else:
            check_option(word, sweep)
            if word.startswith("+") and not {"--config-dir", "-cd"} & set(words):
                check_added(word, known)


def check_flag(word: str, following: str | None, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if a flag such as --epochs or --epochs=10 is not one of Hydra's or ours."""
    flag, _, value = word.partition("=")
    if flag in FLAGS:
        return
    value = value or (following if following and not following.startswith("-") and "=" not in following else "")
    name = flag.lstrip("-")
    if found := answer(name, value):
        raise UserError(f"{word}: no such option; {found}")
    options = known()
    ours = name if name in options else name.replace("-", "_")
    if ours in options:
        ours = "data.root" if ours == "data" and "/" in value else ours
        raise UserError(f"{word}: options have no dashes; write {ours}={value or 'VALUE'}")
    raise UserError(f"{word}: no such option; options are written NAME=VALUE; {did_you_mean(name, options)}")


def is_bare(word: str) -> bool:
    """Return whether an argument is neither NAME=VALUE nor ~NAME, with which Hydra removes an option."""
    if word.startswith(("/", "./", "../", "~/")):
        return True
    return word == "=" or ("=" not in word and not word.startswith("~"))


def describe_bare(word: str, words: Sequence[str], known: Callable[[], Collection[str]]) -> str:
    """Return a line about an argument without `=`, such as a folder, a run or a value after a flag or a space."""
    path = Path(os.path.expanduser(word))
    if (path / "checkpoints").is_dir() or path.suffix == ".ckpt":
        return f"{word}: options are written NAME=VALUE; to continue this run, write {typed('resume', word)}"
    if os.path.exists(path):
        others = [each for each in words if each != word and os.path.exists(os.path.expanduser(each))]
        two = f", for a translator {typed('data.a', word)} {typed('data.b', others[0])}" if others else ""
        return f"{word}: options are written NAME=VALUE; to train on it, write {typed('data.root', word)}{two}"
    if found_in := [group for group in groups() if word in group_names(group)]:
        return f"{word}: options are written NAME=VALUE; write {found_in[0]}={word}"
    if found := answer(word):
        return f"{word}: no such option; {found}"
    options = known()
    if word in options or word == "=":
        name = word if word in options else "NAME"
        return f"{word}: write {name}=VALUE without spaces around ="
    if os.sep in word:
        return f"{word}: no such file or folder; options are written NAME=VALUE, for example data.root={word}"
    return f"{word}: options are written NAME=VALUE; {did_you_mean(word, options)}"


def typed(option: str, path: str) -> str:
    """Return an option with a path, as it is typed on a shell."""
    return shlex.quote(f"{option}={path}")


def check_option(word: str, sweep: bool = False) -> None:
    """Raise UserError for an option that would be accepted without effect, or with a value of another program."""
    name, _, value = word.partition("=")
    key = name.lstrip("+~").partition("@")[0]
    section, _, option = key.rpartition(".")
    if section == "trainer" and option in TRAINER and not is_default(option, value):
        raise UserError(describe_foreign(key) or key)
    if name.startswith("+") and "." not in key and (found := describe_foreign(key, value)):
        raise UserError(found)
    if key in LISTS and value.lower() in NONE:
        raise UserError(f"{word}: write {key}=[]")
    if key in LISTS and not sweep and re.fullmatch(r"\w+(,\w+)+", value):
        raise UserError(f"{word}: is a list; write {key}=[{value}]")


def check_added(word: str, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if +KEY=VALUE adds an option that nothing reads."""
    key = word.partition("=")[0].lstrip("+").partition("@")[0]
    top = {name.partition(".")[0] for name in known()} | {"hydra"}
    if key.partition(".")[0].partition("/")[0] not in top:
        raise UserError(f"{word}: no such option; {did_you_mean(key, top)}")


def is_default(option: str, value: str) -> bool:
    """Return whether a value is that of conf/trainer/default.yaml, which stays allowed."""
    defaults = {"max_epochs": "-1", "num_sanity_val_steps": "0", "limit_val_batches": "0"}
    return defaults.get(option, "false" if option == "use_distributed_sampler" else None) == value
