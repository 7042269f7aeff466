"""What goes wrong through the user's inputs, as opposed to a bug of ours.

Every such error has a code, ``room.cause``. :data:`CODES` lists each once with what it means; tests
and programs match codes, people read messages.
"""

import math
from collections.abc import Collection

#: Each code and its cause. The rooms stand in the order of the package.
CODES: dict[str, str] = {
    # --- io: files, locks, caches
    'io.in_use': 'another process works in the folder, or writes the file',
    'io.lock_is_foreign': "a lock file's name is that of a link, or of a file that is no lock",
    'io.lock_not_written': 'a lock file cannot be written',
    'io.folder_not_made': 'a folder cannot be made',
    'io.unreadable': 'a JSON file cannot be read',
    'io.damaged_json': 'a JSON file is no JSON, nested too deeply, or has another checksum',
    'io.wrong_field': 'a field of a JSON file is missing, or of another type',
    'io.chunk_was_cut': 'a file of a feature table was cut while it was in use',
    # --- datasets: images, lists, class names
    'data.missing_root': 'the folder of the images is not there',
    'data.missing_images': 'images of a list are not there',
    'data.missing_list': 'a list of images or of class names is not there',
    'data.no_class_folders': 'images are not sorted into class folders',
    'data.no_training_split': 'folders of splits lack one for training',
    'data.unsure_classes': 'it is not sure which of two levels of folders are the classes',
    'data.no_validation_split': 'there are no validation images',
    'data.two_validation_splits': 'val_fraction is given beside a validation split',
    'data.no_test_split': 'train and val are given, and no test split',
    'data.stray_folders': 'folders with images stand beside folders of splits',
    'data.two_folders_of_a_split': 'two folders look like the same split',
    'data.one_class': 'all images are of one class',
    'data.untrained_class': 'a class has no training images',
    'data.similar_labels': 'labels differ only in case, spacing or numbering',
    'data.invisible_name': 'a class name is blank or holds invisible characters',
    'data.unknown_label': 'a name is given to a label that no image has',
    'data.same_name': 'one name is given to several classes',
    'data.not_text': 'a list is no text',
    'data.empty_list': 'a list has no lines',
    'data.no_column': 'a list lacks a path or a label',
    'data.bad_line': 'a line of a list cannot be read',
    'data.bad_split': 'a split is none of train, val and test, or is missing in a line',
    'data.multi_label': 'an image has several labels',
    'data.listed_twice': 'an image stands twice in a list',
    'data.outside_root': 'a path leads out of the data root',
    'data.too_few_for_test': 'there are too few images for a test split',
    'data.other_class_count': 'the data have another number of classes than names are given',
    'data.moved_classes': 'a class has another number in the data than in a checkpoint',
    'data.not_utf8': 'the name of an image is not UTF-8',
    'data.other_pipelines': 'concatenated data sets have different pipelines',
    'data.not_prepared': 'a folder or list of a published data set is not there',
    'data.missing_source': 'a download lacks folders, lists or videos',
    'data.other_frames': 'frames of another position lie in the folder',
    'data.damaged_video': 'a video is cut short, or has no pictures',
    'data.bad_list': "a file is not CoOp's list",
    'data.damaged': 'a file of the drawn data set is damaged',
    'data.bad_table': 'an Arrow or Parquet file holds no labelled images',
    'data.package_missing': 'reading the data needs a package that is not installed',
    # --- descriptions: the store of an LMM's replies
    'descriptions.no_file': 'there is no descriptions file',
    'descriptions.unreadable': 'the descriptions file cannot be opened',
    'descriptions.no_regular_file': 'the descriptions file is a pipe, device or folder',
    'descriptions.damaged_line': 'a line of the descriptions file is no JSON object',
    'descriptions.unknown_status': 'a line has a status that is not known',
    'descriptions.foreign_file': 'the file to write descriptions to holds something else',
    'descriptions.not_written': 'the descriptions file cannot be opened for writing',
    'descriptions.missing_images': 'an image has no descriptions in the file',
    'descriptions.no_data_root': 'a sample does not say where its data set lies',
    'descriptions.no_path': 'a sample has no path, so no descriptions',
    'descriptions.outside_root': "an image lies outside its data set's folder",
    'descriptions.unknown_choice': 'a setting is none of its choices',
    # --- clip: weights, towers, tokenizers
    'clip.bad_setting': 'a setting of the backbone is unknown, or does not go with another one',
    'clip.bad_configuration': 'a file that describes a model is not valid',
    'clip.unknown_model': 'open_clip knows no model of that name',
    'clip.would_download': 'the name of a model is that of a repository to be downloaded',
    'clip.unsupported_tower': 'a ResNet, a CoCa or another tower that is not supported',
    'clip.no_projection': 'the image tower has no output projection to train',
    'clip.package_missing': 'a model needs a package that is not installed',
    'clip.no_download': 'weights, a tokenizer or a configuration cannot be downloaded here',
    'clip.missing_file': 'a file or folder of a model is not there',
    'clip.several_files': 'a folder holds several weights files',
    'clip.no_weights_named': 'a model has no weights of its own, and none are named',
    'clip.other_model': 'the weights named are those of another model',
    'clip.other_activation': 'the weights need QuickGELU and the model uses GELU, or the reverse',
    'clip.other_architecture': 'tensors of a weights file do not fit the model',
    'clip.other_image_size': 'images or position embeddings are of another image size',
    'clip.missing_tower': 'a weights file holds the other tower only',
    'clip.no_clip': 'a weights file holds no tensor of a CLIP',
    'clip.several_models': 'a weights file holds several models',
    'clip.not_converted': 'a weights file of a form that is not converted',
    'clip.unreadable': 'a weights file is cut short or not one of tensors',
    'clip.code_in_file': 'reading a weights file would run code in it',
    'clip.damaged': 'a file does not fit its checksum',
    'clip.text_context': 'the text tower cannot read that many tokens',
    'clip.no_adapter': 'a file is no adapter, or one of another width',
    'clip.no_language_model': 'a folder holds no whole language model with its tokenizer',
    'clip.no_timm_model': 'timm cannot make a model with its weights',
    # --- features: the feature table
    'features.no_images': 'there is no image to embed',
    'features.unreadable': 'an image cannot be read',
    'features.not_finite': 'features or embeddings are not finite',
    'features.random_images': 'an image would differ from epoch to epoch',
    'features.bad_views': 'train_cfg.views is not a whole number from 1',
    'features.trunk_trains': 'features are kept of a frozen trunk only, and this one trains',
    'features.not_shared': 'processes do not share the feature table',
    # --- text: text embeddings, prompts, sentences
    'text.no_attach': 'descriptions are needed, and the pipeline attaches none',
    'text.class_not_described': 'no training image of a class has a description',
    'text.not_finite': 'a text embedding is not finite',
    'text.no_sentences_file': 'the file of sentences about the classes is not there',
    'text.sentences_form': 'a file of sentences has another form',
    'text.class_without_sentences': 'a class has no sentences',
    'text.templates': 'prompts with the class names are not a list of texts with one {}',
    'text.no_token_embeddings': 'prompts cannot be learned through this text tower',
    'text.context_words': 'the words of a context are not as many tokens as it has',
    'text.context_too_long': 'prompts do not fit into what the text tower reads',
    'text.same_letters': 'several keys of a file of sentences have the letters of one class',
    # --- heads: methods
    'heads.other_shape': 'a checkpoint was trained with other sizes than the config says',
    'heads.not_set_up': 'a head is used before it was set up, fitted or trained',
    'heads.class_without_images': 'a class has no training images',
    'heads.other_class_count': 'data and head have different numbers of classes',
    'heads.no_class_names': 'the data have no class names',
    'heads.other_width': 'embeddings of images and texts, or of the head, differ in width',
    'heads.other_text_tower': 'a checkpoint was trained with another text tower or other names',
    'heads.bad_class_means': 'class means are not finite, or all zero',
    'heads.several_labels': 'an image has several labels',
    'heads.image_not_described': 'an image that is classified with its descriptions has none',
    'heads.equal_images': 'all training images have the same embedding',
    'heads.package_missing': 'a method needs a package that is not installed',
    'heads.one_process_only': 'a method works in one process only',
    'heads.mixed_images': 'a method cannot take images that were mixed',
    'heads.other_images': 'a run is resumed with other training images',
    'heads.no_fixed_classes': 'an inner classifier classifies with texts of its own',
    'heads.accuracy_not_reached': 'no share of described images reaches the accuracy',
    # --- hooks: head set-up, run record, leakage, class weights
    'hooks.nothing_trains': 'nothing has a gradient where training or a loss needs one',
    'hooks.no_class_weight': 'a method trains without labels, or by a loss without class weights',
    'hooks.bad_record': 'run.json is damaged, or a field of it is missing or of another type',
    'hooks.no_record': 'a folder has no run.json',
    'hooks.bad_predictions': 'a file of per-image predictions is damaged or contradicts itself',
    'hooks.no_predictions': 'a run has no per-image predictions of a split',
    'hooks.scores_not_finite': 'a model gives scores that are not finite',
    'hooks.unusable_sample': 'an evaluated sample has no file name, no label or several',
    'hooks.images_not_predicted': 'images of an evaluated split were left out',
    'hooks.images_in_two_splits': 'a training image is a validation or test image, too',
    'hooks.choice_by_test': 'a checkpoint or an epoch would be chosen by test images',
    'hooks.loss_not_finite': 'the loss of a step is not finite',
    'hooks.other_width': 'the embeddings have another width than the head',
    # --- runner: checkpoints, resuming
    'runner.cannot_resume': 'a checkpoint lacks what training goes on from',
    'runner.checkpoint_address': 'a checkpoint at an address that is not read safely',
    'runner.checkpoint_damaged': 'a checkpoint is cut, flipped, or no checkpoint',
    'runner.checkpoint_form': 'a field of a checkpoint has another type, or there are no weights',
    'runner.checkpoint_misfit': 'the weights of a checkpoint are not those of the model',
    'runner.checkpoint_not_finite': 'a weight of a checkpoint is not finite',
    'runner.checkpoint_not_written': 'the disk is full or not writable',
    'runner.checkpoint_unsafe': 'a checkpoint could run code',
    'runner.no_steps': 'training would have no steps',
    'runner.no_whole_checkpoint': 'all checkpoints of a run are damaged',
    # --- describe: asking an LMM
    'describe.no_describer': 'nobody is named who describes, or somebody unknown',
    'describe.no_package': 'a describer or a check needs a package that is not installed',
    'describe.model': 'the model that is to describe is not named, or cannot be loaded',
    'describe.option': 'an option of a describer is unknown, or its value is of no use',
    'describe.combination': 'options of describe that mean nothing together',
    'describe.price': 'a price is missing, or is no price',
    'describe.class_in_prompt': 'a prompt names the class where it must not, or cannot',
    'describe.no_split': 'the config has no images of the split',
    'describe.same_name': 'two images have one name',
    'describe.no_label': 'an image has no label, so classes cannot be balanced',
    'describe.no_file': 'it cannot be told which file the descriptions go to',
    'describe.image': 'an image cannot be read, or is none',
    'describe.no_key': 'neither address nor key of an endpoint is set, or the key cannot be sent',
    'describe.address': 'there are no chat completions at the address of the endpoint',
    'describe.refused_model': 'the endpoint refuses the key, the address or the model',
    'describe.no_credit': 'the account of the endpoint has no credit left',
    'describe.uncounted': 'a limit on tokens or cost, and an endpoint that counts no tokens',
    'describe.no_answers': 'the endpoint answers no image, or no longer',
    'describe.only_reasoning': 'all text of the answers is reasoning',
    'describe.too_large': 'the endpoint refuses images of this size',
    'describe.rejected': 'the endpoint refuses the request, whichever image is in it',
    'describe.other_model': 'the file holds replies of another model',
    'describe.conflict': 'files to be merged contradict each other',
    'describe.no_batch': 'a file holds no answers of a batch',
    'describe.foreign_file': 'a page or a batch would replace a file of something else',
    'describe.other_batch': 'a batch was written for other options',
    'describe.no_descriptions': 'no image that is looked at is described',
    'describe.no_clip': 'no CLIP model is named that could judge descriptions',
    'describe.no_classes': 'descriptions of images without class names are to be judged',
    # --- deploy: predict, export, load
    'deploy.damaged': 'a file of an exported folder is missing, damaged or of another form',
    'deploy.no_classifier': 'a folder or a pair of config and checkpoint holds no classifier',
    'deploy.not_calibrated': 'exponents of descriptions cannot be found without training again',
    'deploy.no_text_tower': 'a text tower was to be exported, and its weights are not at hand',
    'deploy.no_coverage': 'sets of classes need held-out scores and a coverage between 0 and 1',
    'deploy.unreadable': 'an image cannot be read',
    'deploy.nothing_to_explain': 'no description can explain a prediction',
    'deploy.no_images': 'no image is where one is named',
    'deploy.not_exported': 'a model of this form cannot be exported',
    'deploy.other_results': 'the exported folder would give other results than the model',
    'deploy.exists': 'there is something where a folder would be made',
    'deploy.package_missing': 'an export needs a package that is not installed',
    'deploy.no_pipeline': 'the config has no pipeline that reads single images',
    'deploy.text_of_each_image': 'the method needs the text of each image',
    'deploy.outdated': 'an exported folder is older than the checkpoint of its run',
    'deploy.disk_full': 'the disk is full or cannot be written to',
    'deploy.reads_no_descriptions': 'a method reads no descriptions of what it classifies',
    # --- evidence: comparing runs, sweeps
    'evidence.package_missing': 'a package that comparing needs is not installed',
    'evidence.no_runs': 'there are no runs to compare',
    'evidence.unfinished': 'a run is not finished',
    'evidence.bad_sweep': 'sweep.json is damaged, or a field of it is missing or of another type',
    'evidence.bad_check': 'the figures of a check of descriptions are damaged',
    'evidence.other_images': 'runs were tested on other images, labels or groups',
    'evidence.other_classes': 'runs have other classes',
    'evidence.same_seed': 'two runs have the same method and seed',
    'evidence.mixed_runs': 'runs of one method differ in more than their seed',
    'evidence.no_baseline': 'no method has the name of the baseline',
    'evidence.bad_grid': 'a grid is not KEY=V1,V2 or METHOD:KEY=V1,V2',
    'evidence.nothing_to_choose': 'settings are to be chosen, and no method has a grid',
    'evidence.other_budgets': 'methods have grids of different sizes',
    'evidence.no_such_setting': 'a setting of a sweep has no place in a config',
    'evidence.same_method': 'two configs of a sweep are the same method',
    'evidence.other_config': 'a folder of a sweep holds a run of another config',
    'evidence.other_texts': 'a continued sweep would train with other descriptions',
    'evidence.run_failed': 'a run of a sweep failed',
    'evidence.no_validation_split': 'it is not known which images settings are chosen on',
    'evidence.selects_on_test': 'settings would be chosen on test images',
    # --- fit: choosing a method
    'fit.bad_group_by': '--group-by is no regular expression',
    'fit.other_classes': 'the test images have classes that the training images lack',
    'fit.unknown_method': 'fit does not compare this method',
    'fit.too_few_images': 'no image can be held out',
    'fit.no_candidate': 'no candidate could be scored',
    # --- config: settings and commands
    'config.missing': 'a config file is not there',
    'config.no_checkpoint': 'a checkpoint file is not there',
    'config.swapped': "config and checkpoint stand in each other's place",
    'config.unreadable': 'a config file cannot be read',
    'config.incomplete': 'a config lacks what training or testing needs',
    'config.braces': 'a setting has text that mmengine would replace',
    'config.no_method': 'no method has this name',
    'config.not_a_method': '--on is given with a config that is no method',
    'config.on_is_method': "--on names a method in place of a data set's config",
    'config.on_unfit': '--on names a config that lacks what the method takes from it',
    'config.unknown_value': 'a setting has a value that is not among the known ones',
    'config.bad_option': 'an option of a command has a value that it cannot have',
    'config.inputs_missing': 'weights, images or descriptions that a run needs are not there',
    'config.no_accelerator': 'mixed precision is asked for on a CPU',
    'config.launcher': '--launcher names what has not started this process',
    'config.wrong_setting': 'a config sets what nothing reads, or a value that no run could use',
    'config.out_of_range': 'a number among the settings is not in its range',
}


class InputError(ValueError):
    """A mistake in a config, file or argument; the message says what to do.

    The command-line tools print it without a traceback.

    Args:
        message: What is wrong, where, and what to do.
        code: One of :data:`CODES`.
    """

    code: str = ''

    def __init__(self, message: str = '', code: str = '') -> None:
        super().__init__(message)
        self.code = code


def require_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise InputError where a setting is not a finite number from ``low`` to ``high``."""
    if not (math.isfinite(value) and low <= value <= high):
        limits = f'at least {low:g}' if high == math.inf else f'between {low:g} and {high:g}'
        raise InputError(f'{name}={value} must be {limits}', code='config.out_of_range')


def require_one_of(name: str, value: object, known: Collection) -> None:
    """Raise InputError where a setting is none of the known values."""
    if value not in known:
        raise InputError(
            f'{name}={value!r} is unknown; choose one of {", ".join(map(repr, known))}',
            code='config.unknown_value',
        )


class MissingInputError(InputError, FileNotFoundError):
    """A file that a run needs is not there."""

    def __str__(self) -> str:  # OSError's own would print a tuple
        return str(self.args[0]) if self.args else ''


class UnreadableError(InputError):
    """Images that cannot be read, by file."""
